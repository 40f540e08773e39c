package events

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/workflow"
)

// Message is a message on the log, as NATS carries it.
type Message struct {
	Sequence uint64    // its position on the log
	Time     time.Time // when the log took it
	Subject  string
	Header   nats.Header
	Data     []byte
}

// FromMsg converts a message from a JetStream consumer of the log, for Decode.
// With it a service reads the answers to its events, which have the bodies
// workflow.Became and workflow.Refused. It fails with the error of m.Metadata
// if m does not come from a stream.
func FromMsg(m jetstream.Msg) (Message, error) {
	meta, err := m.Metadata()
	if err != nil {
		return Message{}, fmt.Errorf("read where a message is on the log: %w", err)
	}
	return Message{Sequence: meta.Sequence.Stream, Time: meta.Timestamp.UTC(), Subject: m.Subject(), Header: m.Headers(), Data: m.Data()}, nil
}

// Decode reads a message. It never fails: if the message cannot be read, or
// breaks a rule of the contract, the entry has the Body workflow.Invalid.
// Account, Document, Order and Address are set if the subject names them, even
// for such a message. Every release reads the same bytes in the same way, because replicas
// of different releases follow one log.
//
// The identity of a message that cannot be read is the digest of its bytes: the
// same message again is a duplicate, but a repaired event with the old id is
// not. The Body has the event's own id and source as far as they can be read.
func Decode(m Message) workflow.Entry {
	var d struct { // one allocation for all that a body's reader is given
		r  reader
		e  envelope
		to topic
	}
	r, e, to := &d.r, &d.e, &d.to
	var ok bool
	*to, ok = parseSubject(m.Subject)
	entry := workflow.Entry{Sequence: m.Sequence, Time: m.Time, Subject: m.Subject, Account: to.account, Document: to.document, Order: to.order, Address: to.address}
	*e = r.readEnvelope(m, !ok || to.kind.Upstream())
	if r.problem == nil {
		r.checkEnvelope(e)
	}
	if r.problem == nil {
		r.checkSubject(e, to, ok)
	}
	if r.problem == nil {
		entry.Body = readers[e.typ].read(r, e, to)
	}
	if r.problem != nil {
		entry.ID = fingerprint(m)
		entry.Body = workflow.Invalid{
			Problem: *r.problem, EventID: bounded(e.id), Origin: bounded(e.source),
			Foreign: ok && to.writer != workflow.WriterUpstream,
		}
		return entry
	}
	entry.ID, entry.Source = e.id, e.source
	if to.writer == workflow.WriterAPI {
		entry.Actor = e.actor // an actor from any other writer proves nothing
	}
	if to.kind.Upstream() && !parseNumber(e.redrives, &entry.Redrives) {
		entry.Redrives = 0 // it has no effect on a document
	}
	return entry
}

// checkSubject checks that the event belongs on the subject on which it came.
func (r *reader) checkSubject(e *envelope, to *topic, ok bool) {
	switch {
	case workflow.KindOf(e.typ) == nil:
		r.fail(workflow.CodeUnknownType, "type", "no event has the type %s; services send %s", quote(e.typ), strings.Join(upstreamTypes(), ", "))
	case !ok:
		r.fail(workflow.CodeInvalid, "subject", "no event belongs on it")
	case e.typ != to.kind.Type:
		r.fail(workflow.CodeInvalid, "type", "want %q on this subject, got %q", to.kind.Type, e.typ)
	case to.writer == workflow.WriterUpstream && ownSource(e.source):
		r.fail(workflow.CodeInvalid, "source", "%s is reserved for Countersign's own events; choose another source", quote(e.source))
	case to.writer != workflow.WriterUpstream && e.source != to.writer.Source():
		r.fail(workflow.CodeInvalid, "source", "want %q on this subject, got %s", to.writer.Source(), quote(e.source))
	case e.data.raw == nil:
		r.fail(workflow.CodeInvalid, "data", "missing")
	}
}

// fail keeps the problem if it is the first. The message begins with the field.
func (r *reader) fail(code workflow.Code, field, format string, args ...any) {
	if r.problem != nil {
		return
	}
	field = cut(field, 128)
	message := fmt.Sprintf(format, args...)
	if field != "" {
		message = field + ": " + message
	}
	r.problem = &workflow.Problem{Code: code, Field: field, Message: message}
}

// fingerprint returns the identity of a message that cannot be read.
func fingerprint(m Message) string {
	h := sha256.New()
	_, _ = io.WriteString(h, m.Subject+"\x00")
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, attributePrefix) {
			_, _ = fmt.Fprintf(h, "%s: %q\n", lower, m.Header[name])
		}
	}
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(m.Data)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// quote quotes a value for a message, cut to 64 characters.
func quote(s string) string { return strconv.Quote(cut(s, 64)) }

// cut shortens a string to at most n characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i] + "…"
		}
	}
	return s
}

// bounded makes a string fit for storing: valid UTF-8 of at most MaxIdentity
// bytes.
func bounded(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= MaxIdentity {
		return s
	}
	end := MaxIdentity
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// DecodeQuarantined reads a message that is in quarantine: the result is a dead
// letter, whatever the message says.
func DecodeQuarantined(m Message) workflow.Entry {
	e := Decode(m)
	bad, ok := e.Body.(workflow.Invalid)
	if !ok {
		bad.EventID, bad.Origin = e.ID, e.Source
	}
	bad.Problem = workflow.Problem{
		Code: workflow.CodeCrashed, Message: fmt.Sprintf("entry %d made the program crash, again and again, and is left out", m.Sequence),
	}
	e.ID, e.Source, e.Redrives, e.Body = fingerprint(m), "", 0, bad
	return e
}
