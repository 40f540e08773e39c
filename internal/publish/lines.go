// Package publish sends events to the log and finds out their outcomes: many
// events from JSON Lines (Read, Send, Learn), or one (Event, Result).
package publish

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/terminal"
)

// Line is one event to be sent.
type Line struct {
	Number int // in its file, from 1
	Msg    *nats.Msg
	After  string // a subject that must be on the log before the line is sent; empty for none
}

// maxLine is how long a line may be, in bytes.
const maxLine = 16 << 20

// Read reads JSON Lines to their end, so that a line that cannot be sent is
// found before any line is sent. name is the file's, for errors, which have the
// number of the line. Empty lines are skipped.
func Read(from io.Reader, name string) ([]Line, error) {
	var lines []Line
	s := bufio.NewScanner(from)
	s.Buffer(nil, maxLine)
	for number := 1; s.Scan(); number++ {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		l, err := readLine(s.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		l.Number = number
		lines = append(lines, l)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return lines, nil
}

// ReadFile reads the JSON Lines of a file, or of standard input if the name is
// "-". See Read.
func ReadFile(name string) ([]Line, error) {
	f, err := terminal.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Read(f, name)
}

// readLine reads one line. Its event is not checked: a worker decides whether
// it is one.
func readLine(raw []byte) (Line, error) {
	var l struct {
		Subject string          `json:"subject"`
		After   string          `json:"after"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return Line{}, fmt.Errorf("a line must be a JSON object with subject and data: %w", err)
	}
	if l.Subject == "" || len(l.Data) == 0 {
		return Line{}, errors.New("a line must have subject and data")
	}
	if err := OnLog(l.Subject); err != nil {
		return Line{}, err
	}
	m := &nats.Msg{Subject: l.Subject, Data: bytes.Clone(l.Data), Header: nats.Header{}}
	m.Header.Set("Content-Type", "application/cloudevents+json")
	var e struct{ ID, Source string }
	if json.Unmarshal(l.Data, &e) == nil && e.ID != "" {
		m.Header.Set(jetstream.MsgIDHeader, e.Source+" "+e.ID)
	}
	return Line{Msg: m, After: l.After}, nil
}

// OnLog fails if a subject is none of the log's: an event there would change
// nothing, or damage what another stream holds.
func OnLog(subject string) error {
	if !strings.HasPrefix(subject, events.Prefix) {
		return fmt.Errorf("the subject must begin with %s, got %q", events.Prefix, subject)
	}
	return nil
}
