package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/operator"
	"countersign/internal/terminal"
	"countersign/workflow"
)

func (a *app) documents() *cobra.Command {
	c := &cobra.Command{
		Use:   "documents",
		Short: "Look at documents, send them again, take them back",
		Long:  "Reads the database of a worker on this machine, running or not; see --data-dir.",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	c.AddCommand(a.documentsList(), a.documentsShow(), a.documentsResend(), a.documentsRecall(), a.documentsCancel())
	return c
}

func (a *app) documentsList() *cobra.Command {
	var f db.Filter
	var account, status string
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List documents, the newest first",
		Args:  cobra.NoArgs,
	}
	c.Flags().StringVar(&account, "account", "", "only of this account (AC…)")
	c.Flags().StringVar(&status, "status", "", "only those that are opened, signing, signed, canceled or failed")
	c.Flags().StringVar(&f.Email, "email", "", "only of this signer")
	c.Flags().IntVar(&f.Limit, "limit", 50, "at most so many")
	c.Flags().BoolVar(&f.InDoubt, "in-doubt", false, "only those with a mail that may have gone out twice, or not at all")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.RunE = func(c *cobra.Command, _ []string) error {
		f.Account, f.Status = workflow.SID(account), workflow.Status(status)
		if f.Status != "" && !slices.Contains(workflow.Statuses, f.Status) {
			return unknownValue("--status", status, workflow.Statuses)
		}
		if err := accountFilter(account); err != nil {
			return err
		}
		if f.Limit < 1 {
			return usageError{fmt.Errorf("--limit must be at least 1")}
		}
		return a.withStore(c, func(ctx context.Context, _ config.Config, store *db.Store) error {
			docs, err := store.Documents(ctx, f)
			if err != nil {
				return err
			}
			a.sayLimit(len(docs), f.Limit)
			if asJSON {
				return eachJSON(a.out, docs)
			}
			return listDocuments(a.out, docs)
		})
	}
	return c
}

func listDocuments(out *terminal.Printer, docs []workflow.Document) error {
	t := out.Table("DOCUMENT", "STATUS", "ROUND", "ORDERS", "SIGNER", "UPDATED")
	for _, d := range docs {
		t.Row(d.SID, statusOf(d), d.Round, len(d.Orders), d.Email, stamp(d.DateUpdated))
	}
	return t.Flush()
}

func statusOf(d workflow.Document) string {
	if d.Hold {
		return string(d.Status) + " (held)"
	}
	return string(d.Status)
}

func (a *app) documentsShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show PX…",
		Short: "Show all that is known of a document: state, orders, mails with their SMTP replies, history",
		Args:  cobra.ExactArgs(1),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	c.RunE = func(c *cobra.Command, args []string) error {
		prefix, err := sidArg(args[0])
		if err != nil {
			return err
		}
		return a.withStore(c, func(ctx context.Context, _ config.Config, store *db.Store) error {
			sid, err := store.FindSID(ctx, prefix)
			if err != nil {
				return err
			}
			life, err := store.Life(ctx, sid)
			if err != nil {
				return err
			}
			if asJSON {
				return a.out.JSONIndent(operator.LifeOf(life))
			}
			return showLife(a.out, sid, life)
		})
	}
	return c
}

// showLife writes a document's life for people.
func showLife(out *terminal.Printer, sid workflow.SID, l db.Life) error {
	t := out.Table()
	showState(t, sid, l)
	if l.Document != nil {
		t.Section("ORDER", "STATUS", "NUMBER", "CARRIER", "FAILURE")
		for _, o := range l.Document.Orders {
			t.Row(o.SID, o.Status, o.PhoneNumber, o.CurrentCarrier, o.FailureReason)
		}
	}
	if len(l.Mails) > 0 {
		last := lastReports(l.Bounces)
		t.Section("MAIL", "ROUND", "TO", "STATE", "TRIES", "IN DOUBT", "REPLY", "REPORTED SINCE")
		for _, m := range l.Mails {
			t.Row(m.Kind, m.Round, m.Recipient, mailState(m), m.Attempts, m.Doubts, m.Reply, last[m.ID])
		}
	}
	if len(l.Events) > 0 {
		t.Section("EVENT", "ON THE LOG AT")
		for i, e := range l.Events {
			t.Row(e.What, place(l.Settled[i], e.Due))
		}
	}
	for _, p := range l.Parked {
		t.Section(fmt.Sprintf("parked: entry %d, %s, until %s", p.Entry.Sequence, p.Entry.Body.Type(), stamp(p.Until)))
	}
	if len(l.History) > 0 {
		t.Section("TIME", "ENTRY", "WHAT", "DETAIL")
		for _, h := range l.History {
			t.Row(stamp(h.Time), h.Sequence, h.What, h.Detail)
		}
	}
	return t.Flush()
}

func showState(t *terminal.Table, sid workflow.SID, l db.Life) {
	t.Row("document", sid)
	d := l.Document
	switch {
	case d == nil && operator.WasErased(l):
		t.Row("status", "erased")
		return
	case d == nil:
		t.Row("status", "not created yet")
		return
	}
	for _, row := range [][2]string{
		{"account", string(d.AccountSID)},
		{"status", statusOf(*d)},
		{"round", strconv.Itoa(d.Round)},
		{"signer", d.Email},
		{"cc", strings.Join(d.CCEmails, ", ")},
		{"address", string(d.AddressSID)},
		{"locale", d.Locale},
		{"subscriber", d.Subscriber},
		{"service address", strings.Join(d.ServiceAddress.Lines(), ", ")},
		{"contact", strings.Trim(d.ContactTitle+", "+d.ContactPhoneNumber, ", ")},
		{"reason", d.Reason},
		{"canceled by", d.CanceledBy},
		{"asked for by", askedBy(*d)},
		{"letter", d.LetterDigest},
		{"created", stamp(d.DateCreated)},
		{"updated", stamp(d.DateUpdated)},
	} {
		if row[1] != "" {
			t.Row(row[0], row[1])
		}
	}
	showTimes(t, *d, l.Timers)
}

// askedBy says who asked for the status that ended a document: the signing page
// with what it saw of the visit, the REST API with its key, or another.
func askedBy(d workflow.Document) string {
	if d.AskedBy.Writer == "" {
		return ""
	}
	by := fmt.Sprintf("%s, entry %d", d.AskedBy, d.AskedBy.Entry)
	var visit struct{ Name, IP string }
	if d.AskedBy.Writer != workflow.WriterPage || json.Unmarshal(d.Evidence, &visit) != nil {
		return by
	}
	if visit.Name != "" {
		by += ", name typed: " + visit.Name
	}
	return by + ", IP address " + visit.IP
}

// showTimes writes what is to happen to a document, and when.
func showTimes(t *terminal.Table, d workflow.Document, running []workflow.Timer) {
	if d.DateSigned != nil {
		t.Row("signed", stamp(*d.DateSigned))
	}
	for _, r := range running {
		switch r.Kind {
		case workflow.TimerReminder:
			t.Row("next reminder", fmt.Sprintf("%s, and %d more", stamp(r.Due), r.More))
		case workflow.TimerExpiry:
			t.Row("expires", stamp(r.Due))
		case workflow.TimerFreshness:
			t.Row("letter fresh until", stamp(r.Due))
		}
	}
	if d.LetterStale {
		t.Row("letter", "too old for orders that are not completed")
	}
}

func mailState(m workflow.Mail) string {
	if m.State == workflow.MailOwed && m.Attempts > 0 {
		return "owed, next try " + stamp(m.Due)
	}
	return string(m.State)
}

// lastReports is what was last reported of each mail.
func lastReports(all []db.Bounce) map[workflow.MailID]string {
	last := map[workflow.MailID]string{}
	for _, b := range all {
		last[b.Mail] = strings.TrimSpace(fmt.Sprintf("%s %s %s", b.Action, b.Status, b.Diagnostic))
	}
	return last
}

// place says where an owed event stands.
func place(settled int64, due time.Time) string {
	switch {
	case settled > 0:
		return strconv.FormatInt(settled, 10)
	case settled < 0:
		return "not wanted any more"
	}
	return "owed, due " + stamp(due)
}
