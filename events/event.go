package events

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/workflow"
)

// Event is an event to publish. The constructors of this package make events.
type Event struct {
	ID, Source string          // with Account its identity: a second event with the same identity changes nothing
	Time       time.Time       // when it happened, by the publisher's clock; zero if that does not matter
	Account    workflow.SID    // "_" if there is none
	Document   workflow.SID    // "_" if there is none, and empty if the subject has no place for one
	Writer     workflow.Writer // the door that appends it: page, api, operator, bounce; empty for all other writers
	Actor      string          // sid of the account or API key that the REST API was called with; empty for other writers
	What       string          // the rest of the subject: "order.HR….status"
	Body       workflow.Body
	Redrives   uint64 // sequence of the refused event or dead letter that this event replaces; 0 for none
}

// Subject returns the subject of the event. It fails with a *workflow.Problem
// if that is not a subject of the contract.
func (e Event) Subject() (string, error) {
	subject, _, err := e.topic()
	return subject, err
}

// topic returns the subject, and what it says.
func (e Event) topic() (subject string, to topic, err error) {
	subject = Prefix + string(e.Account) + "."
	if e.Document != "" {
		subject += string(e.Document) + "."
	}
	if e.Writer != "" {
		subject += doorToken + "." + string(e.Writer) + "."
	}
	subject += e.What
	to, ok := parseSubject(subject)
	if !ok {
		return "", to, &workflow.Problem{
			Code: workflow.CodeInvalid, Field: "subject",
			Message: "subject: no event belongs on " + quote(subject),
		}
	}
	return subject, to, nil
}

// By returns the event in the form in which Countersign appends it for a door:
// with the subject and the source of the door.
func (e Event) By(door workflow.Writer) Event {
	e.Writer, e.Source = door, door.Source()
	return e
}

// Identity returns the identity that the event will have on the log.
func (e Event) Identity() workflow.Identity {
	account := e.Account
	if account == Nobody {
		account = ""
	}
	return workflow.Identity{Account: account, Source: e.Source, ID: e.ID}
}

// Message returns the event as a NATS message: a CloudEvent in structured mode.
// The same event always gives the same bytes. It fails as Validate does.
func (e Event) Message() (*nats.Msg, error) {
	subject, data, err := e.write()
	if err != nil {
		return nil, err
	}
	msg := nats.NewMsg(subject)
	msg.Header.Set("Content-Type", event.ApplicationCloudEventsJSON)
	msg.Data = data
	return msg, nil
}

// Validate checks the event. It fails with a *workflow.Problem if Decode would
// not accept the event's message, or if the event has a phone number that no
// number plan allows. The problem may quote the event; keep it out of logs.
//
// Message and Publish validate, too. Use Validate to check an event before
// doing something else.
func (e Event) Validate() error {
	_, _, err := e.write()
	return err
}

// write returns the subject and the payload of the event, and checks them.
func (e Event) write() (subject string, data []byte, err error) {
	subject, to, err := e.topic()
	if err != nil {
		return "", nil, err
	}
	if data, err = e.encode(); err != nil {
		return "", nil, fmt.Errorf("write event for %s: %w", subject, err)
	}
	var r reader
	if ref := types.ParseURIRef(e.Source); ref == nil || ref.String() != e.Source {
		r.fail(workflow.CodeInvalid, "source", "must be a URI reference, got %s", quote(e.Source))
	}
	if check := readers[e.Body.Type()].check; check != nil {
		written := e.envelope(data)
		r.checkEnvelope(written)
		r.checkSubject(written, &to, true)
		if r.problem == nil {
			check(&r, e.Body, e.ID, &to)
		}
	} else if bad, ok := Decode(Message{Subject: subject, Data: data}).Body.(workflow.Invalid); ok {
		r.fail(bad.Code, bad.Field, "%s", strings.TrimPrefix(bad.Message, bad.Field+": "))
	}
	r.assigned(e.Body)
	if r.problem != nil {
		return "", nil, r.problem
	}
	return subject, data, nil
}

// envelope returns what a reader of the event finds in it.
func (e Event) envelope(data []byte) *envelope {
	out := envelope{
		specversion: event.CloudEventsVersionV1, id: e.ID, source: e.Source, typ: e.Body.Type(), actor: e.Actor,
		datacontenttype: event.ApplicationJSON, data: value{raw: data},
	}
	if !e.Time.IsZero() {
		out.time = types.FormatTime(e.Time)
	}
	return &out
}

// wire is the JSON format of CloudEvents 1.0, in the order in which the SDK writes
// it: events of all releases have the same bytes.
type wire struct {
	SpecVersion     string        `json:"specversion"`
	ID              string        `json:"id"`
	Source          string        `json:"source"`
	Type            string        `json:"type"`
	DataContentType string        `json:"datacontenttype"`
	Time            string        `json:"time,omitempty"`
	Data            workflow.Body `json:"data"`
	Actor           string        `json:"actor,omitempty"`
	Redrives        uint64        `json:"redrives,string,omitempty"`
}

// encode writes the event in the JSON format of CloudEvents 1.0.
func (e Event) encode() ([]byte, error) {
	if e.Body == nil {
		return nil, errors.New("it has no body")
	}
	out := wire{
		SpecVersion: event.CloudEventsVersionV1, ID: e.ID, Source: e.Source, Type: e.Body.Type(),
		DataContentType: event.ApplicationJSON, Data: e.Body, Actor: e.Actor, Redrives: e.Redrives,
	}
	if !e.Time.IsZero() {
		out.Time = types.FormatTime(e.Time)
	}
	var text bytes.Buffer
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false) // evidence must not change
	if err := to.Encode(out); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// Publish publishes the event, waits until the stream acknowledges it, and
// returns its sequence. It fails as Message does, or with the error of the
// publish: then the event may be on the log or not, and it is safe to publish
// it again with the same id.
//
// The Nats-Msg-Id is random, because the stream remembers the ids of all
// publishers together: anybody who could predict the id could use it first, and
// the stream would drop the event as a duplicate.
func Publish(ctx context.Context, js jetstream.Publisher, e Event) (sequence uint64, err error) {
	msg, err := e.Message()
	if err != nil {
		return 0, err
	}
	msg.Header.Set(jetstream.MsgIDHeader, rand.Text())
	ack, err := js.PublishMsg(ctx, msg)
	if err != nil {
		return 0, fmt.Errorf("publish %s: %w", msg.Subject, err)
	}
	return ack.Sequence, nil
}
