package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"countersign/internal/config"
	"countersign/internal/datadir"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

const (
	// Wait is how long a command waits for the log's server.
	Wait = 5 * time.Second
	// lookAgain is how often the connection's state is read, beside its
	// notifications: an authorization error has none.
	lookAgain = 100 * time.Millisecond
)

// Connect connects to the log's server, for a command that asks one thing. What
// the server forbids goes to logger. It fails with workflow.ErrUnavailable if
// no server takes the connection within Wait.
func Connect(ctx context.Context, cfg config.Config, logger *slog.Logger) (*nats.Conn, error) {
	o := eventlog.ConnectOptions{
		URL: string(cfg.NATSURL), Context: cfg.NATSContext, Creds: cfg.NATSCreds,
		TLSCA: cfg.NATSCA, TLSCert: cfg.NATSCert, TLSKey: cfg.NATSKey,
		InboxPrefix: cfg.NATSInboxPrefix, Name: "countersign command", Logger: logger,
	}
	if !cfg.External() {
		var err error
		if o.URL, o.Token, err = datadir.EmbeddedAt(cfg); err != nil {
			return nil, err
		}
	}
	nc, err := eventlog.Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := connected(ctx, cfg, o, nc); err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

// Do runs f with a connection to the log's server, and a context that ends
// after twice Wait. It fails as Connect does, and as f does.
func Do(ctx context.Context, cfg config.Config, logger *slog.Logger, f func(context.Context, *nats.Conn) error) error {
	nc, err := Connect(ctx, cfg, logger)
	if err != nil {
		return err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*Wait)
	defer cancel()
	return f(ctx, nc)
}

// connected waits until the connection is there. The error says which server
// was tried and why there is no connection. A server that refuses our
// credentials is not waited for.
func connected(ctx context.Context, cfg config.Config, o eventlog.ConnectOptions, nc *nats.Conn) error {
	up := nc.StatusChanged(nats.CONNECTED)
	defer nc.RemoveStatusListener(up)
	server, advice := cfg.NATSURL.String(), "is it up, and --nats-url right?"
	switch {
	case cfg.NATSContext != "":
		server, advice = "the context "+cfg.NATSContext, "is it up, and --nats-context right?"
	case cfg.NATSURL == "":
		server, advice = strings.TrimPrefix(o.URL, "nats://"), "start the worker that embeds it, or give its address with --nats-listen or --nats-url"
	}
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	over := time.After(Wait)
	for {
		if nc.IsConnected() {
			return nil
		}
		err := nc.LastError()
		if errors.Is(err, nats.ErrAuthorization) {
			return fmt.Errorf("%w: no connection to NATS at %s: %w; %s", workflow.ErrUnavailable, server, err, credentials(cfg, o))
		}
		select {
		case <-up:
			return nil
		case <-look.C:
			continue
		case <-ctx.Done():
			err = ctx.Err()
		case <-over:
		}
		if err != nil {
			return fmt.Errorf("%w: no connection to NATS at %s: %w; %s", workflow.ErrUnavailable, server, err, advice)
		}
		return fmt.Errorf("%w: no connection to NATS at %s in %s; %s", workflow.ErrUnavailable, server, Wait, advice)
	}
}

// credentials says what to check if the server refuses our credentials.
func credentials(cfg config.Config, o eventlog.ConnectOptions) string {
	switch {
	case cfg.NATSContext != "":
		return "check the user in the context"
	case cfg.NATSURL != "":
		return "check user and password, or the token, in --nats-url, or --nats-creds"
	case o.Token != "":
		return "the token in " + cfg.NATSTokenFile + " is not the server's: the worker may have started with another token or another --nats-token-file"
	}
	return "the server requires a token: give the --data-dir of its worker, or the token with --nats-url nats://TOKEN@" + strings.TrimPrefix(o.URL, "nats://")
}
