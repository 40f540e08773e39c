package eventlog

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/natscontext"

	"countersign/internal/private"
)

// ConnectOptions say which NATS to connect to, and as whom. One of InProcess,
// Context and URL names the server; if none is set, it is the default of NATS,
// nats://127.0.0.1:4222.
type ConnectOptions struct {
	URL       string // several with commas; may hold user and password, which are never logged
	Context   string // name of a context of the nats CLI, or the absolute path of its file
	InProcess nats.InProcessConnProvider

	Token                  string // for a server that requires one; never logged
	Creds                  string // file with a user's JWT and seed
	TLSCA, TLSCert, TLSKey string // PEM files; TLSCert and TLSKey must both be set or both be empty

	// InboxPrefix is the prefix of the subjects on which NATS answers, such as
	// _INBOX_countersign. If it is empty, the inbox_prefix of Context is used,
	// or else DefaultInboxPrefix.
	InboxPrefix string

	Name   string       // what the server shows for this connection
	Logger *slog.Logger // logs when the connection is lost and restored; may be nil
}

// DefaultInboxPrefix is the inbox prefix of Countersign's own user. It differs
// from the _INBOX of other clients, so that clients that may subscribe to
// _INBOX.> cannot read the answers of NATS to Countersign: entries of all
// accounts, snapshots and letters.
const DefaultInboxPrefix = "_INBOX_countersign"

// Connect connects to NATS. If the server is away, it returns at once, and the
// connection retries until it is closed; its users must be able to wait.
// Connect fails only if the options are at fault: if a file cannot be read, if
// other users can read or change a secret, or if a URL is invalid.
func Connect(ctx context.Context, o ConnectOptions) (*nats.Conn, error) {
	if err := errors.Join(ctx.Err(), o.check()); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	opts := o.options()
	if o.Context == "" {
		nc, err := nats.Connect(o.URL, opts...)
		if err != nil {
			return nil, fmt.Errorf("connect to NATS: %w", withoutURL(err))
		}
		return nc, nil
	}
	nc, settings, err := natscontext.Connect(o.Context, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS with context %q: %w", o.Context, withoutURL(err))
	}
	if settings.JSDomain != "" || settings.JSAPIPrefix != "" || settings.UserJwt != "" {
		nc.Close()
		return nil, fmt.Errorf("connect to NATS with context %q: jetstream_domain, jetstream_api_prefix and user_jwt are not supported", o.Context)
	}
	return nc, nil
}

// check finds faults that nats.go would report only after it has connected,
// which may never happen.
func (o ConnectOptions) check() error {
	var errs []error
	var named int
	for _, is := range []bool{o.URL != "", o.Context != "", o.InProcess != nil} {
		if is {
			named++
		}
	}
	if named > 1 {
		errs = append(errs, errors.New("a URL, a context and the embedded server exclude each other; leave out --nats-url or --nats-context"))
	}
	urls := strings.Split(o.URL, ",")
	for i, u := range urls {
		if _, err := url.Parse(strings.TrimSpace(u)); err != nil {
			errs = append(errs, fmt.Errorf("URL %d of %d: %w", i+1, len(urls), errURL))
		}
	}
	if (o.TLSCert == "") != (o.TLSKey == "") {
		errs = append(errs, errors.New("a TLS certificate needs its key, and a key its certificate (--nats-cert, --nats-key)"))
	}
	for _, file := range []string{o.Creds, o.TLSCA, o.TLSCert, o.TLSKey} {
		if file == "" {
			continue
		}
		f, err := os.Open(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f.Close()
	}
	for _, file := range []string{o.Creds, o.TLSKey} {
		if file == "" {
			continue
		}
		if err := private.CheckFile(file); errors.Is(err, private.ErrOpen) {
			errs = append(errs, fmt.Errorf("%s cannot be used: %w", file, err))
		}
	}
	return errors.Join(errs...)
}

// stillPrivate is an option that checks the credentials file each time that the
// client reads it, which is each time that it connects.
func (o ConnectOptions) stillPrivate(opts *nats.Options) error {
	read := opts.UserJWT
	opts.UserJWT = func() (string, error) {
		if err := private.CheckFile(o.Creds); err != nil {
			return "", fmt.Errorf("read the credentials %s: %w", o.Creds, err)
		}
		return read()
	}
	return nil
}

func (o ConnectOptions) options() []nats.Option {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	attempts := &complaint{log: log, msg: "cannot connect to NATS; trying again until it works"}
	others := &complaint{log: log, msg: "NATS reports an error"}
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(2 * time.Second),
		// A frozen server is noticed after 4 to 6 s; by default it takes minutes.
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectJitter(250*time.Millisecond, time.Second),
		// Without a buffer, publishing fails at once while there is no
		// connection, and we retry. With a buffer, a claim could be published
		// after its sender has given it up.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("lost the connection to NATS", "err", err)
			}
		}),
		nats.ReconnectErrHandler(attempts.failed),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			attempts.since = time.Time{}
			log.Info("connected to NATS again", "server", nc.ConnectedServerName())
		}),
		// The options of the NATS context have been applied before these.
		func(c *nats.Options) error {
			return nats.CustomInboxPrefix(cmp.Or(o.InboxPrefix, c.InboxPrefix, DefaultInboxPrefix))(c)
		},
		nats.ErrorHandler(func(nc *nats.Conn, _ *nats.Subscription, err error) { others.failed(nc, err) }),
	}
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(o.InProcess))
	}
	if o.Token != "" {
		opts = append(opts, nats.Token(o.Token))
	}
	if o.Creds != "" {
		opts = append(opts, nats.UserCredentials(o.Creds), o.stillPrivate)
	}
	if o.TLSCA != "" {
		opts = append(opts, nats.RootCAs(o.TLSCA))
	}
	if o.TLSCert != "" {
		opts = append(opts, nats.ClientCert(o.TLSCert, o.TLSKey))
	}
	return opts
}

// complaint logs what is wrong with a connection: each fault at once and, while
// it lasts, every sayAgain. The client calls its handlers one at a time.
type complaint struct {
	log   *slog.Logger
	msg   string
	said  map[string]bool // since the time since
	since time.Time
}

const (
	sayAgain = 30 * time.Second
	sayMost  = 4 // faults in that time: several servers may fail in turn, each in its own way
)

func (c *complaint) failed(nc *nats.Conn, err error) {
	if errors.Is(err, nats.ErrNoServers) {
		return // the next attempt says why
	}
	if time.Since(c.since) >= sayAgain {
		c.said, c.since = map[string]bool{}, time.Now()
	}
	if c.said[err.Error()] || len(c.said) >= sayMost {
		return
	}
	c.said[err.Error()] = true
	c.log.Warn(c.msg, "servers", strings.Join(nc.Servers(), ","), "err", err, "fix", fix(err))
}

// fix returns what to check if NATS cannot be used.
func fix(err error) string {
	var host x509.HostnameError
	var name *net.DNSError
	text := strings.ToLower(err.Error())
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return "check the user and password or the token in --nats-url, --nats-creds, or the user in --nats-context"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "give this user the permissions that docs/nats.md lists"
	case errors.As(err, &host):
		return "name the server in --nats-url as its certificate does"
	case errors.As(err, &name):
		return "check the host in --nats-url or --nats-context"
	case strings.Contains(text, "tls"), strings.Contains(text, "x509"):
		return "check --nats-ca, --nats-cert, --nats-key and the server's certificate"
	}
	return "check that the server is up, and the host and port in --nats-url or --nats-context"
}

var errURL = errors.New("the URL must be like nats://host:4222, with special characters in a password percent-encoded")

// withoutURL removes a URL, which may have a password, from an error. Errors
// about a URL often quote a part of it.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return errURL
	}
	return err
}
