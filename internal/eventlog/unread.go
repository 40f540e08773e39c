package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/workflow"
)

// Reports that could not be read say nothing certain about a document, and
// anybody can send one to the return path. The log keeps its entries without a
// limit. So unread reports have a stream of their own, which is limited, and
// from which they can be removed.

// UnreadStream is the stream of unread reports.
const UnreadStream = "AUTHDOCS_UNREAD"

const (
	unreadPrefix = "authdocs-unread.v1."
	maxUnread    = 64 << 20  // bytes of all unread reports
	maxUnreadOne = 256 << 10 // bytes of one, as JSON
)

// Unread is a message to the return path that was not understood, without its
// addresses and links.
type Unread struct {
	Sequence uint64            `json:"sequence,omitempty"` // on its stream; 0 before it is kept
	Time     time.Time         `json:"date_received,omitzero"`
	Digest   string            `json:"digest"` // SHA-256 of the message in hex
	Reason   string            `json:"reason"`
	From     string            `json:"from_domain,omitempty"`
	Subject  string            `json:"subject,omitempty"`
	Mails    []workflow.MailID `json:"mails,omitempty"` // the emails of ours that it names
	Text     string            `json:"text,omitempty"`
}

// unreadConfig is the configuration with which the stream is created. A full
// stream takes no more reports, so that a flood of messages removes no report;
// the mail server then keeps new messages and retries.
func unreadConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: UnreadStream, Description: "Messages to the return path that could not be read, until they are discarded",
		Subjects: []string{unreadPrefix + "*"}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
		Discard: jetstream.DiscardNew, MaxBytes: maxUnread, MaxMsgSize: maxUnreadOne, MaxMsgsPerSubject: 1, Replicas: replicas,
	}
}

// OpenUnread creates the stream of unread reports if it is missing. It fails
// with workflow.ErrUnavailable.
func OpenUnread(ctx context.Context, nc *nats.Conn, replicas int) error {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(answerWait))
	if err == nil {
		_, err = js.Stream(ctx, UnreadStream)
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, unreadConfig(replicas))
	}
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("open stream %s: %w: %w", UnreadStream, workflow.ErrUnavailable, err)
	}
	return nil
}

// KeepUnread keeps a message that was not understood. It keeps it once, however
// often it comes. It fails with workflow.ErrUnavailable if the server does not
// answer, the stream is full, or no worker has created the stream yet.
func KeepUnread(ctx context.Context, nc *nats.Conn, u Unread) error {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(answerWait))
	if err != nil {
		return err
	}
	data, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("write an unread report: %w", err)
	}
	_, err = js.Publish(ctx, unreadPrefix+u.Digest, data, jetstream.WithExpectLastSequencePerSubject(0))
	var refused *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return nil // the stream has it already
	case errors.As(err, &refused):
		return fmt.Errorf("%w: stream %s takes no report: %w; countersign bounces unread discard makes room", workflow.ErrUnavailable, UnreadStream, err)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%w: stream %s does not exist yet; start a worker, which makes it", workflow.ErrUnavailable, UnreadStream)
	}
	return fmt.Errorf("%w: keep an unread report: %w; the NATS user must be allowed to publish on %s*", workflow.ErrUnavailable, err, unreadPrefix)
}

// AllUnread lists the unread reports, oldest first. It fails with
// workflow.ErrUnavailable.
func AllUnread(ctx context.Context, nc *nats.Conn) (list []Unread, err error) {
	err = Read(ctx, nc, UnreadStream, Range{}, func(m events.Message) error {
		list = append(list, parseUnread(m))
		return nil
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", workflow.ErrUnavailable, err)
	}
	return list, nil
}

// parseUnread reads a kept report. Anybody who may publish to the stream can
// write anything.
func parseUnread(m events.Message) (u Unread) {
	if json.Unmarshal(m.Data, &u) != nil {
		u = Unread{Reason: "another program has written it to the stream"}
	}
	u.Sequence, u.Time = m.Sequence, m.Time
	return u
}

// UnreadAt returns the unread report at a sequence. It fails with
// workflow.ErrNotFound if there is none, and else with workflow.ErrUnavailable.
func UnreadAt(ctx context.Context, nc *nats.Conn, sequence uint64) (Unread, error) {
	stream, err := unreadStream(ctx, nc)
	if err != nil {
		return Unread{}, err
	}
	m, err := stream.GetMsg(ctx, sequence)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return Unread{}, fmt.Errorf("%w: unread report %d", workflow.ErrNotFound, sequence)
	case err != nil:
		return Unread{}, fmt.Errorf("%w: read unread report %d: %w", workflow.ErrUnavailable, sequence, err)
	}
	return parseUnread(events.Message{Sequence: m.Sequence, Time: m.Time, Data: m.Data}), nil
}

// DiscardUnread removes an unread report, and has the server overwrite its bytes.
// It fails as UnreadAt does. With dryRun it only looks whether the report is there.
func DiscardUnread(ctx context.Context, nc *nats.Conn, sequence uint64, dryRun bool) error {
	if _, err := UnreadAt(ctx, nc, sequence); err != nil || dryRun {
		return err
	}
	stream, err := unreadStream(ctx, nc)
	if err != nil {
		return err
	}
	if err := stream.SecureDeleteMsg(ctx, sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("%w: discard unread report %d: %w", workflow.ErrUnavailable, sequence, err)
	}
	return nil
}

// CountUnread returns how many unread reports there are. It fails with
// workflow.ErrUnavailable.
func CountUnread(ctx context.Context, nc *nats.Conn) (uint64, error) {
	stream, err := unreadStream(ctx, nc)
	if errors.Is(err, workflow.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return stream.CachedInfo().State.Msgs, nil
}

func unreadStream(ctx context.Context, nc *nats.Conn) (jetstream.Stream, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(answerWait))
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, UnreadStream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("%w: there are no unread reports", workflow.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("%w: open stream %s: %w", workflow.ErrUnavailable, UnreadStream, err)
	}
	return stream, nil
}
