package catcher

import (
	"bytes"
	"net"
)

// Extension is a keyword in the answer to EHLO.
type Extension string

// The extensions that a catcher offers and can hide.
const (
	Pipelining Extension = "PIPELINING" // commands in a group (RFC 2920)
	Chunking   Extension = "CHUNKING"   // BDAT (RFC 3030)
)

// hiding keeps extensions out of the answers to EHLO, which go-smtp always offers.
type hiding struct {
	net.Listener
	hidden []Extension
}

// Accept implements net.Listener.
func (l hiding) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil || len(l.hidden) == 0 {
		return conn, err
	}
	return hider{conn, l.hidden}, nil
}

type hider struct {
	net.Conn
	hidden []Extension
}

// Write implements io.Writer. go-smtp writes each line of a reply by itself.
func (c hider) Write(p []byte) (int, error) {
	said := p
	for _, e := range c.hidden {
		said = bytes.Replace(said, []byte("250-"+e+"\r\n"), nil, 1)
	}
	if _, err := c.Conn.Write(said); err != nil {
		return 0, err
	}
	return len(p), nil
}
