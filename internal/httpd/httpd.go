// Package httpd serves HTTP to the public: HTTP/1.1 and HTTP/2, in clear (h2c)
// or over TLS, within limits that slow and greedy clients run into.
package httpd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Limits bound what a client may take. A limit of 0 has the default given with it.
type Limits struct {
	Header time.Duration // to read a request's header: 5 s
	Read   time.Duration // to read a whole request: 30 s
	Write  time.Duration // from the end of a request's header to the end of its answer: 1 min
	Idle   time.Duration // between two requests of a connection: 2 min
	Grace  time.Duration // for requests that have begun, when the server ends: 5 s

	HeaderBytes int // of a request's header: 32 KiB
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Header: cmp.Or(l.Header, 5*time.Second),
		Read:   cmp.Or(l.Read, 30*time.Second),
		Write:  cmp.Or(l.Write, time.Minute),
		Idle:   cmp.Or(l.Idle, 2*time.Minute),
		Grace:  cmp.Or(l.Grace, 5*time.Second),

		HeaderBytes: cmp.Or(l.HeaderBytes, 32<<10),
	}
}

// Server serves one handler on one listener.
type Server struct {
	Handler http.Handler
	Limits  Limits
	TLS     *tls.Config  // nil: in clear
	Logger  *slog.Logger // gets what goes wrong with connections, at debug level
}

// Run serves until ctx ends. Then requests that have begun get Limits.Grace to
// finish. It fails if the listener fails.
func (s Server) Run(ctx context.Context, l net.Listener) error {
	limits := s.Limits.withDefaults()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: s.Handler, TLSConfig: s.TLS, Protocols: protocols,
		ReadHeaderTimeout: limits.Header, ReadTimeout: limits.Read, WriteTimeout: limits.Write, IdleTimeout: limits.Idle,
		MaxHeaderBytes: limits.HeaderBytes, ErrorLog: slog.NewLogLogger(s.Logger.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	defer context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.Grace)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})()
	serve := server.Serve
	if s.TLS != nil {
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	<-stopped // then the requests that have not finished are aborted
	return nil
}

// Local is an address at which this machine reaches a listener at a.
func Local(a net.Addr) string {
	if at, ok := a.(*net.TCPAddr); ok && at.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(at.Port))
	}
	return a.String()
}
