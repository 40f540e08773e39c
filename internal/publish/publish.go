package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/datadir"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

func (a *app) publish() *cobra.Command {
	var rate float64
	var timeout time.Duration
	var wait, noWait, asJSON bool
	c := &cobra.Command{
		Use:   "publish FILE",
		Short: "Send events from a JSON Lines file",
		Long: `Sends each line of a JSON Lines file ("-" for standard input) to the log, and waits for the acks:

  {"subject":"authdocs.v1.AC….PX….created","data":{CloudEvent}}

A line may have "after": a subject that must stand on the log before the line is sent. Without --nats-url the events go
to the server that a worker on this machine embeds.

With --wait, the default on a terminal and with --json, it then says what became of the events: applied, unchanged, parked,
duplicate, refused or dead letter, and exits with 1 if any was refused or is a dead letter. With the data directory of a
worker that runs (--data-dir) it knows all of that. From the log alone it knows the refused events and dead letters; the
rest is "not refused" once a worker has read past them, and "unknown" if no worker shows that within 5 seconds.`,
		Example: "  countersign publish examples/day.jsonl --rate 50\n  countersign publish events.jsonl --json --timeout 10s",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().Float64Var(&rate, "rate", 0, "most events per second; 0 for no limit")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for what a line comes after, for acks, and for what becomes of the events")
	c.Flags().BoolVar(&wait, "wait", false, "say what became of the events; the default on a terminal and with --json")
	c.Flags().BoolVar(&noWait, "no-wait", false, "end when the log has the events")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each event")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		switch {
		case rate < 0:
			return usageError{errors.New("--rate must not be negative")}
		case wait && noWait:
			return usageError{errors.New("--wait and --no-wait exclude each other")}
		}
		lines, err := readLines(args[0])
		if err != nil {
			return err
		}
		nc, err := a.reach(c.Context(), cfg)
		if err != nil {
			return err
		}
		defer nc.Close()
		list, err := a.deliver(c.Context(), nc, lines, rate, timeout)
		if err != nil {
			return err
		}
		switch {
		case !noWait && (wait || asJSON || a.out.Terminal()):
			err := a.learn(c.Context(), cfg, nc, list, timeout)
			return errors.Join(a.sayOutcomes(list, asJSON), err)
		case asJSON:
			return eachJSON(a.out, list)
		}
		return nil
	}
	return c
}

// reach connects to the log's server for a command that does one thing, and
// says on standard error what the server forbids. It fails with
// workflow.ErrUnavailable where no server takes the connection in logWait.
func (a *app) reach(ctx context.Context, cfg config.Config) (*nats.Conn, error) {
	o := eventlog.ConnectOptions{
		URL: string(cfg.NATSURL), Context: cfg.NATSContext, Creds: cfg.NATSCreds,
		TLSCA: cfg.NATSCA, TLSCert: cfg.NATSCert, TLSKey: cfg.NATSKey,
		InboxPrefix: cfg.NATSInboxPrefix, Name: "countersign command", Logger: logger(a.err, cfg),
	}
	if !cfg.External() {
		var err error
		if o.URL, o.Token, err = datadir.EmbeddedAt(cfg); errors.Is(err, datadir.ErrNotListening) {
			return nil, usageError{err}
		}
		if err != nil {
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

// askAgain is the pause between two questions to a NATS that is away.
const askAgain = 100 * time.Millisecond

// connected waits until the connection is there. The error says where it was
// looked for and why it is not; one that the server refuses by name is not
// waited for.
func connected(ctx context.Context, cfg config.Config, o eventlog.ConnectOptions, nc *nats.Conn) error {
	up := nc.StatusChanged(nats.CONNECTED)
	defer nc.RemoveStatusListener(up)
	where, advice := cfg.NATSURL.String(), "is it up, and --nats-url right?"
	switch {
	case cfg.NATSContext != "":
		where, advice = "the context "+cfg.NATSContext, "is it up, and --nats-context right?"
	case cfg.NATSURL == "":
		where, advice = strings.TrimPrefix(o.URL, "nats://"), "start the worker that has it, or say with --nats-listen or --nats-url where it is"
	}
	look := time.NewTicker(askAgain)
	defer look.Stop()
	over := time.After(logWait)
	for {
		if nc.IsConnected() {
			return nil
		}
		err := nc.LastError()
		if errors.Is(err, nats.ErrAuthorization) {
			return fmt.Errorf("%w: no connection to NATS at %s: %w; %s", workflow.ErrUnavailable, where, err, credentials(cfg, o))
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
			return fmt.Errorf("%w: no connection to NATS at %s: %w; %s", workflow.ErrUnavailable, where, err, advice)
		}
		return fmt.Errorf("%w: no connection to NATS at %s in %s; %s", workflow.ErrUnavailable, where, logWait, advice)
	}
}

// credentials says what to check if the server does not take who we say we are.
func credentials(cfg config.Config, o eventlog.ConnectOptions) string {
	switch {
	case cfg.NATSContext != "":
		return "check the user in the context"
	case cfg.NATSURL != "":
		return "check user and password, or the token, in --nats-url, or --nats-creds"
	case o.Token != "":
		return "the token in " + cfg.NATSTokenFile + " is not the server's: the worker may have started with another one, or --nats-token-file"
	}
	return "it wants a token: give --data-dir of the worker that has it, or its token with --nats-url nats://TOKEN@" + strings.TrimPrefix(o.URL, "nats://")
}

// line is one event to be sent.
type line struct {
	number int // in its file, from 1
	msg    *nats.Msg
	after  string
}

// readLines reads a whole file: an event that cannot be sent is found before
// any is.
func readLines(name string) ([]line, error) {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return nil, err
		}
		defer f.Close()
	}
	var lines []line
	s := bufio.NewScanner(f)
	s.Buffer(nil, 16<<20)
	for number := 1; s.Scan(); number++ {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		l, err := readLine(s.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		l.number = number
		lines = append(lines, l)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return lines, nil
}

// readLine reads one line. The event in it may be anything: what it is worth
// is for those who follow the log to say.
func readLine(raw []byte) (line, error) {
	var l struct {
		Subject string          `json:"subject"`
		After   string          `json:"after"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return line{}, fmt.Errorf("not a JSON object with subject and data: %w", err)
	}
	if l.Subject == "" || len(l.Data) == 0 {
		return line{}, errors.New("subject and data are needed")
	}
	m := &nats.Msg{Subject: l.Subject, Data: bytes.Clone(l.Data), Header: nats.Header{}}
	m.Header.Set("Content-Type", "application/cloudevents+json")
	var e struct{ ID, Source string }
	if json.Unmarshal(l.Data, &e) == nil && e.ID != "" {
		m.Header.Set(jetstream.MsgIDHeader, e.Source+" "+e.ID)
	}
	return line{msg: m, after: l.After}, nil
}

// lineSender sends lines in their order.
type lineSender struct {
	js      jetstream.JetStream
	stream  jetstream.Stream // the log, once it was found
	wait    time.Duration
	pending []sentLine
	blind   bool      // this user may not read the log, or it does not answer
	list    []outcome // of the lines that the log has acknowledged
	bar     progress
}

// sentLine is a line on its way.
type sentLine struct {
	line
	ack jetstream.PubAckFuture
}

// unacked is how many events may be on their way.
const unacked = 256

// send sends lines in their order, and returns when the log has acknowledged
// them all.
func (a *app) send(ctx context.Context, nc *nats.Conn, lines []line, rate float64, wait time.Duration) error {
	_, err := a.deliver(ctx, nc, lines, rate, wait)
	return err
}

// deliver does what send does, and returns where the lines stand on the log. Of
// their outcomes only duplicates are known by then.
func (a *app) deliver(ctx context.Context, nc *nats.Conn, lines []line, rate float64, wait time.Duration) ([]outcome, error) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*unacked))
	if err != nil {
		return nil, err
	}
	s := &lineSender{js: js, wait: wait, bar: newProgress(a.err, len(lines), "published", "events")}
	defer s.bar.done()
	start := time.Now()
	for i, l := range lines {
		if rate > 0 {
			next := time.Duration(float64(i) / rate * float64(time.Second))
			if err := sleep(ctx, time.Until(start.Add(next))); err != nil {
				return nil, err
			}
		}
		if err := s.send(ctx, l); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.number, err)
		}
	}
	err = s.flush(ctx)
	return s.list, err
}

func (s *lineSender) send(ctx context.Context, l line) error {
	if l.after != "" {
		if err := s.flush(ctx); err != nil {
			return err
		}
		if err := s.await(ctx, l.after); err != nil {
			return err
		}
	}
	ack, err := s.js.PublishMsgAsync(l.msg, jetstream.WithStallWait(s.wait))
	if err != nil {
		return err
	}
	s.pending = append(s.pending, sentLine{l, ack})
	if len(s.pending) < unacked {
		return nil
	}
	return s.flush(ctx)
}

// flush waits until all that was sent is acknowledged.
func (s *lineSender) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	for _, p := range s.pending {
		ack := p.ack
		select {
		case got := <-ack.Ok():
			s.bar.step()
			if err := s.landed(ctx, p.line, got); err != nil {
				return err
			}
		case err := <-ack.Err():
			if errors.Is(err, jetstream.ErrNoStreamResponse) {
				return fmt.Errorf("no stream takes %s; a worker makes the stream %s, and subjects begin with %s", ack.Msg().Subject, events.StreamName, events.Prefix)
			}
			return fmt.Errorf("%s was not acknowledged: %w", ack.Msg().Subject, err)
		case <-ctx.Done():
			return fmt.Errorf("%s was not acknowledged in %s; is a worker up, and the stream made?", ack.Msg().Subject, s.wait)
		}
	}
	s.pending = s.pending[:0]
	return nil
}

// landed notes where a line stands on the log. That the log calls it a duplicate
// proves nothing before the entry there was read: its Nats-Msg-Id is not secret,
// and somebody else may have used it. Unless the event is there, the line is sent
// again without one: a second copy changes nothing.
func (s *lineSender) landed(ctx context.Context, l line, ack *jetstream.PubAck) error {
	o := newOutcome(l, ack.Sequence)
	switch {
	case !ack.Duplicate:
	case s.holds(ctx, o):
		o.Result = workflow.Duplicate
	default:
		l.msg.Header.Del(jetstream.MsgIDHeader)
		again, err := s.js.PublishMsg(ctx, l.msg)
		if err != nil {
			return fmt.Errorf("%s was not acknowledged: %w", l.msg.Subject, err)
		}
		o.Sequence = again.Sequence
	}
	s.list = append(s.list, o)
	return nil
}

// holds reports whether the event is known to stand on the log. A user who may
// not read the log is asked to wait for that once.
func (s *lineSender) holds(ctx context.Context, o outcome) bool {
	if s.blind {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	var m *jetstream.RawStreamMsg
	stream, err := s.log(ctx)
	if err == nil {
		m, err = stream.GetMsg(ctx, o.Sequence)
	}
	if err != nil {
		s.blind = !errors.Is(err, jetstream.ErrMsgNotFound)
		return false
	}
	there := &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
	return m.Subject == o.Subject && events.Identity(there) == o.of
}

// log finds the stream, once.
func (s *lineSender) log(ctx context.Context) (jetstream.Stream, error) {
	if s.stream == nil {
		stream, err := s.js.Stream(ctx, events.StreamName)
		if err != nil {
			return nil, fmt.Errorf("look at stream %s: %w", events.StreamName, err)
		}
		s.stream = stream
	}
	return s.stream, nil
}

// The log is asked for what a line comes after every lookEvery, and each answer
// is waited for lookWait long: one that a restart of the server took away does
// not come.
const (
	lookEvery = 5 * time.Millisecond
	lookWait  = 2 * time.Second
)

// await waits until a subject stands on the log.
func (s *lineSender) await(ctx context.Context, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	for {
		err := s.look(ctx, subject)
		if err == nil {
			return nil
		}
		if sleep(ctx, lookEvery) != nil {
			return fmt.Errorf("it comes after %s, which is not on the log after %s: %w", subject, s.wait, err)
		}
	}
}

// look fails where a subject does not stand on the log, or nobody says so.
func (s *lineSender) look(ctx context.Context, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	stream, err := s.log(ctx)
	if err != nil {
		return err
	}
	_, err = stream.GetLastMsgForSubject(ctx, subject)
	return err
}

// sleep waits for d, or fails when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
