package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/operator"
	"countersign/internal/session"
)

// withStore runs f with the database of the worker on the data directory, for
// reading.
func (a *app) withStore(c *cobra.Command, f func(context.Context, config.Config, *db.Store) error) (err error) {
	cfg, err := a.load(c)
	if err != nil {
		return err
	}
	store, err := db.OpenReader(c.Context(), cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return f(c.Context(), cfg, store)
}

// withOperator runs f with an operator that waits as long as wait for the worker
// on the data directory.
func (a *app) withOperator(c *cobra.Command, wait time.Duration, f func(context.Context, *operator.Operator) error) error {
	return a.withStore(c, func(ctx context.Context, cfg config.Config, store *db.Store) error {
		return f(ctx, &operator.Operator{Config: cfg, Logger: logger(a.err, cfg), Store: store, Wait: wait})
	})
}

// withSession runs f with the log. alone refuses to work beside a worker on the
// same data directory.
func (a *app) withSession(c *cobra.Command, alone bool, f func(context.Context, *session.Session) error) error {
	return a.openSession(c, alone, session.Open, f)
}

// openSession runs f with a session that open opens.
func (a *app) openSession(c *cobra.Command, alone bool, open func(context.Context, session.Options) (*session.Session, error), f func(context.Context, *session.Session) error) error {
	cfg, err := a.load(c)
	if err != nil {
		return err
	}
	s, err := open(c.Context(), session.Options{Config: cfg, Logger: logger(a.err, cfg), Notes: a.err, Alone: alone})
	if err != nil {
		return err
	}
	defer s.Close()
	return f(c.Context(), s)
}

// withLog runs f with a connection to the log's server.
func (a *app) withLog(c *cobra.Command, f func(context.Context, *nats.Conn) error) error {
	cfg, err := a.load(c)
	if err != nil {
		return err
	}
	return session.Do(c.Context(), cfg, logger(a.err, cfg), f)
}

var documentSID = regexp.MustCompile(`^PX[0-9a-fA-F]{4,32}$`)

// sidArg reads the sid of the document that a command is about, or the beginning
// of it; db.Store.FindSID completes that. The mark of a sid that a table has
// shortened may follow.
func sidArg(arg string) (string, error) {
	sid := strings.TrimSuffix(arg, "…")
	if !documentSID.MatchString(sid) {
		return "", usageError{fmt.Errorf("a document sid must be PX and 32 hex digits, or PX and at least the first 4 of them; got %q", arg)}
	}
	return sid, nil
}

// unknownValue says which values a filter can have.
func unknownValue[T ~string](flag, value string, known []T) error {
	var list []string
	for _, k := range known {
		list = append(list, string(k))
	}
	return usageError{fmt.Errorf("%s must be one of %s; got %q", flag, strings.Join(list, ", "), value)}
}

var accountSID = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)

// accountFilter checks the account that a list is of; empty for every account.
func accountFilter(sid string) error {
	if sid != "" && !accountSID.MatchString(sid) {
		return usageError{fmt.Errorf("--account must be AC and 32 hex digits; got %q", sid)}
	}
	return nil
}

// sayLimit says that there may be more than a list shows.
func (a *app) sayLimit(listed, limit int) {
	if listed >= limit {
		a.err.Linef("the newest %d are listed, and there may be more; see --limit", limit)
	}
}
