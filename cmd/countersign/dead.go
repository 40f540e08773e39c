package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/events"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/session"
	"countersign/internal/terminal"
	"countersign/workflow"
)

func (a *app) dead() *cobra.Command {
	c := &cobra.Command{
		Use:   "dead",
		Short: "Look at dead letters and refused events, send them again, discard them",
		Long: `Events that could not be read (dead letters) or asked for what a document cannot do (refused) change nothing and keep
nothing waiting. Their payload stays on the log. These commands read the database of a worker on this machine, running
or not (see --data-dir), and the log.`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	c.AddCommand(a.deadList(), a.deadShow(), a.deadRedrive(), a.deadDiscard())
	return c
}

func (a *app) deadList() *cobra.Command {
	var f db.TurnedFilter
	var account, document, code, since string
	var dead, refused, asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List dead letters and refused events that are open, the newest first",
		Args:  cobra.NoArgs,
	}
	c.Flags().StringVar(&account, "account", "", "only on subjects of this account (AC…)")
	c.Flags().StringVar(&document, "document", "", "only about this document (PX…)")
	c.Flags().StringVar(&code, "code", "", "only with this code: invalid, status_conflict and so on")
	c.Flags().StringVar(&since, "since", "", "only since this time (RFC 3339), or for so long (36h)")
	c.Flags().BoolVar(&dead, "dead", false, "only dead letters")
	c.Flags().BoolVar(&refused, "refused", false, "only refused events")
	c.Flags().BoolVar(&f.Closed, "all", false, "those that were sent again or discarded, too")
	c.Flags().IntVar(&f.Limit, "limit", 50, "at most so many")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		f.Account, f.Code = workflow.SID(account), workflow.Code(code)
		switch {
		case dead && refused:
			return usageError{errors.New("--dead and --refused exclude each other; leave both out to see both")}
		case dead:
			f.Only = db.OnlyDead
		case refused:
			f.Only = db.OnlyRefused
		}
		if document != "" {
			if document, err = sidArg(document); err != nil {
				return err
			}
		}
		if code != "" && !slices.Contains(workflow.Codes, f.Code) {
			return unknownValue("--code", code, workflow.Codes)
		}
		if err := accountFilter(account); err != nil {
			return err
		}
		if f.Limit < 1 {
			return usageError{errors.New("--limit must be at least 1")}
		}
		if f.Since, err = sinceFlag(since, time.Now()); err != nil {
			return err
		}
		return a.withStore(c, func(ctx context.Context, _ config.Config, store *db.Store) error {
			if document != "" {
				if f.Document, err = store.FindSID(ctx, document); err != nil {
					return err
				}
			}
			letters, err := store.Letters(ctx, f)
			if err != nil {
				return err
			}
			a.sayLimit(len(letters), f.Limit)
			if asJSON {
				return eachJSON(a.out, jsonLetters(letters))
			}
			return listLetters(a.out, letters)
		})
	}
	return c
}

func sinceFlag(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usageError{fmt.Errorf("--since: want a time such as 2026-11-23T15:04:05Z or a duration such as 36h, got %q", text)}
	}
	return at, nil
}

// letterJSON is what the commands of dead print with --json.
type letterJSON struct {
	db.Turned
	Subject   string       `json:"subject"`
	Document  workflow.SID `json:"authorization_document_sid,omitempty"`
	State     string       `json:"state"` // open, redriven, discarded
	ClosedBy  uint64       `json:"closed_by,omitempty"`
	ClosedAt  *time.Time   `json:"date_closed,omitempty"`
	Discarded string       `json:"discard_reason,omitempty"`
}

func jsonLetters(letters []db.Letter) []letterJSON {
	out := make([]letterJSON, len(letters))
	for i, l := range letters {
		out[i] = letterJSON{
			Turned: l.Turned, Subject: l.Subject, Document: l.Document, State: letterState(l), ClosedBy: l.Closed, Discarded: l.Reason,
		}
		if l.Closed > 0 {
			out[i].ClosedAt = &l.ClosedAt
		}
	}
	return out
}

func letterState(l db.Letter) string {
	switch {
	case l.Closed == 0:
		return "open"
	case l.Reason != "":
		return "discarded"
	}
	return "redriven"
}

func listLetters(out *terminal.Printer, letters []db.Letter) error {
	t := out.Table("ENTRY", "TIME", "WHAT", "CODE", "STATE", "DOCUMENT", "REASON")
	for _, l := range letters {
		t.Row(l.Sequence, stamp(l.Time), deadOrRefused(l), l.Code, closedBy(l), l.Document, l.Message)
	}
	return t.Flush()
}

func deadOrRefused(l db.Letter) string {
	if l.Dead {
		return "dead letter"
	}
	return "refused"
}

func closedBy(l db.Letter) string {
	switch letterState(l) {
	case "redriven":
		return fmt.Sprintf("redriven by entry %d", l.Closed)
	case "discarded":
		return "discarded: " + l.Reason
	}
	return "open"
}

// sequenceArg reads the sequence that a command is about.
func sequenceArg(arg string) (uint64, error) {
	n, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || n == 0 {
		return 0, usageError{fmt.Errorf("not a sequence on the log: %q; dead list shows them", arg)}
	}
	return n, nil
}

func (a *app) deadShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show ENTRY",
		Short: "Show a dead letter or a refused event: why, what to do, and its payload",
		Args:  cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	c.RunE = func(c *cobra.Command, args []string) error {
		sequence, err := sequenceArg(args[0])
		if err != nil {
			return err
		}
		return a.withStore(c, func(ctx context.Context, cfg config.Config, store *db.Store) error {
			l, err := store.Letter(ctx, sequence)
			if err != nil {
				return err
			}
			m, away := a.readEntry(ctx, cfg, sequence)
			if asJSON {
				return showLetterJSON(a.out, l, m, away)
			}
			return showLetter(a.out, l, m, away)
		})
	}
	return c
}

// readEntry reads an entry from the log, and gives up soon if the log does not
// answer.
func (a *app) readEntry(ctx context.Context, cfg config.Config, sequence uint64) (m events.Message, err error) {
	err = session.Do(ctx, cfg, logger(a.err, cfg), func(ctx context.Context, nc *nats.Conn) error {
		m, err = eventlog.ReadEntry(ctx, nc, sequence)
		return err
	})
	return m, err
}

func showLetter(out *terminal.Printer, l db.Letter, m events.Message, away error) error {
	t := out.Table()
	for _, row := range [][2]string{
		{"entry", strconv.FormatUint(l.Sequence, 10)},
		{"what", deadOrRefused(l)},
		{"turned down", stamp(l.Time)},
		{"state", closedBy(l)},
		{"subject", l.Subject},
		{"event", l.EventID},
		{"source", l.Source},
		{"code", string(l.Code)},
		{"field", l.Field},
		{"reason", l.Message},
		{"what to do", advice(l)},
	} {
		if row[1] != "" {
			t.Row(row[0], row[1])
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if away != nil {
		out.Linef("")
		return out.Linef("The payload cannot be shown: %v", away)
	}
	out.Linef("")
	for _, attribute := range m.Attributes() {
		out.Linef("ce-%s: %s", attribute[0], attribute[1])
	}
	return out.Linef("%s", payload(m.Data))
}

// payload is a payload as one line of JSON, or quoted if it is no JSON.
func payload(data []byte) string {
	var line bytes.Buffer
	if json.Compact(&line, data) == nil {
		return string(terminal.EscapeJSON(line.Bytes()))
	}
	return strconv.Quote(string(data))
}

func showLetterJSON(out *terminal.Printer, l db.Letter, m events.Message, away error) error {
	j := struct {
		letterJSON
		Advice     string            `json:"what_to_do,omitempty"`
		Attributes map[string]string `json:"attributes,omitempty"` // of a message in binary mode
		Payload    []byte            `json:"payload_base64,omitempty"`
		Away       string            `json:"payload_missing,omitempty"` // why there is no payload
	}{letterJSON: jsonLetters([]db.Letter{l})[0], Advice: advice(l), Payload: m.Data}
	for _, attribute := range m.Attributes() {
		if j.Attributes == nil {
			j.Attributes = map[string]string{}
		}
		j.Attributes[attribute[0]] = attribute[1]
	}
	if away != nil {
		j.Away = away.Error()
	}
	return out.JSONIndent(j)
}

// advice says what to do about an open dead letter or refusal.
func advice(l db.Letter) string {
	if l.Closed > 0 {
		return ""
	}
	redrive := fmt.Sprintf("countersign dead redrive %d", l.Sequence)
	discard := fmt.Sprintf("; or countersign dead discard %d --reason …", l.Sequence)
	switch l.Code {
	case workflow.CodeUnreadable:
		return "have its publisher mended; then " + redrive + " --file EVENT.json" + discard
	case workflow.CodeInvalid, workflow.CodeTooLarge, workflow.CodeUnknownType, workflow.CodeUnknownVersion:
		return "have its publisher mended; then " + redrive + " --set " + cmp.Or(l.Field, "FIELD") + "=VALUE" + discard
	case workflow.CodeParkedTooLong:
		return "publish the event that it builds on; then " + redrive + discard
	case workflow.CodeCrashed:
		return "report it with its payload; when a version that can take it runs everywhere, " + redrive + discard
	case workflow.CodeExists, workflow.CodeAccount:
		return "its publisher is mistaken about the document" + discard
	}
	return "where the document or the order can take it by now, " + redrive + discard
}
