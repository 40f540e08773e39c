package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// sink is a mail server that keeps nothing. It costs little CPU, which the two
// systems share with it. As Postfix does, it offers PIPELINING and CHUNKING.
type sink struct {
	net.Listener
	accepted func(recipient string) // is called before the reply, by many goroutines
}

// listen starts a sink on a free port of the loopback. Close ends it.
func listen(accepted func(recipient string)) (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{l, accepted}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s, nil
}

// serve speaks with a client until one of the two ends the connection. The replies
// to what came together leave together.
func (s *sink) serve(conn net.Conn) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriter(conn)
	reply, to := "220 sink.test ESMTP", ""
	for {
		fmt.Fprintf(out, "%s\r\n", reply)
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		reply = "250 2.0.0 ok"
		switch strings.ToUpper(verb) {
		case "EHLO":
			reply = "250-sink.test\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 1048576"
		case "RCPT":
			_, to, _ = strings.Cut(rest, "<")
			to, _, _ = strings.Cut(to, ">")
		case "DATA":
			fmt.Fprint(out, "354 go\r\n")
			if out.Flush() != nil || dotted(in) != nil {
				return
			}
			s.accepted(to)
		case "BDAT":
			if chunk(in, rest) != nil {
				return
			}
			s.accepted(to)
		case "QUIT":
			fmt.Fprint(out, "221 2.0.0 bye\r\n")
			_ = out.Flush()
			return
		}
	}
}

// dotted reads a message up to the line that is a dot.
func dotted(in *bufio.Reader) error {
	for begins := true; ; {
		line, err := in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
		if begins && bytes.Equal(line, []byte(".\r\n")) {
			return nil
		}
		begins = err == nil
	}
}

// chunk reads a message that comes as one chunk (RFC 3030), of the size that
// arguments begin with.
func chunk(in *bufio.Reader, arguments string) error {
	size, _, _ := strings.Cut(arguments, " ")
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, in, int64(n))
	return err
}
