package main

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign/db"
	"countersign/workflow"
)

// seen is a log and what a worker's database says of it.
type seen struct {
	t   *testing.T
	log []workflow.Entry
	db  func(query string, row func(scan func(...any)))
}

// query reads a database past the store's own code.
func query(t *testing.T, dir string) func(string, func(scan func(...any))) {
	t.Helper()
	file, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, db.FileName)+"?_query_only=on")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return func(query string, row func(func(...any))) {
		t.Helper()
		rows, err := file.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			row(func(to ...any) {
				if err := rows.Scan(to...); err != nil {
					t.Fatal(err)
				}
			})
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

var onceEver = regexp.MustCompile(`\.(became|register|refused|due)\b`)

// once counts the events that may stand on the log once (I6).
func (s seen) once(c *toll) {
	s.t.Helper()
	at := map[string]uint64{}
	for _, e := range s.log {
		kind := onceEver.FindStringSubmatch(e.Subject)
		if kind == nil {
			continue
		}
		if first := at[e.Subject]; first > 0 {
			s.t.Errorf("I6: %s stands at %d and at %d", e.Subject, first, e.Sequence)
		}
		at[e.Subject] = e.Sequence
		switch kind[1] {
		case "became":
			c.became++
		case "register":
			c.registers++
		case "refused":
			c.refused++
		}
	}
}

// causes holds each event of ours to the entry that owed it (I6).
func (s seen) causes() {
	s.t.Helper()
	owed := map[string]bool{}
	s.db(`SELECT subject, cause, done_seq, `+soon+` FROM outbox_events`, func(scan func(...any)) {
		var subject string
		var cause, settled int
		var due bool
		scan(&subject, &cause, &settled, &due)
		owed[subject] = true
		switch {
		case settled == 0 && !due: // a timer
		case settled == 0:
			s.t.Errorf("I6: %s is owed still", subject)
		case settled > 0 && (settled <= cause || settled > len(s.log) || s.log[settled-1].Subject != subject):
			s.t.Errorf("I6: %s, owed at %d, is said to stand at %d", subject, cause, settled)
		}
	})
	for _, e := range s.log {
		if onceEver.MatchString(e.Subject) && !owed[e.Subject] {
			s.t.Errorf("I6: %s stands at %d, and nothing owed it", e.Subject, e.Sequence)
		}
	}
}

// results holds the inbox to the log: each event has one result (I1).
func (s seen) results() {
	s.t.Helper()
	result := map[string]string{}
	s.db(`SELECT source, event_id, result FROM inbox`, func(scan func(...any)) {
		var source, id, r string
		scan(&source, &id, &r)
		result[source+" "+id] = r
	})
	on := map[string]bool{}
	for _, e := range s.log {
		key := e.Source + " " + e.ID
		on[key] = true
		if r := result[key]; r == "" || r == "parked" {
			s.t.Errorf("I1: entry %d, %s, has the result %q", e.Sequence, key, r)
		}
	}
	if len(on) != len(result) {
		s.t.Errorf("I1: %d events on the log, %d results", len(on), len(result))
	}
}

// claims holds each outcome to the claim that it names (I7).
func (s seen) claims() {
	s.t.Helper()
	for _, e := range s.log {
		settled, ok := e.Body.(workflow.Settled)
		if !ok {
			continue
		}
		if settled.Claim == 0 || settled.Claim >= e.Sequence {
			s.t.Errorf("I7: the outcomes at %d name the claim %d", e.Sequence, settled.Claim)
			continue
		}
		claim, _ := s.log[settled.Claim-1].Body.(workflow.Claimed)
		for _, o := range settled.Outcomes {
			if !slices.Contains(claim.Mails, o.Mail) {
				s.t.Errorf("I7: %s is settled at %d, and the claim %d did not take it", o.Mail, e.Sequence, settled.Claim)
			}
		}
	}
}

// documents holds each document to what its events must come to.
func (s seen) documents(w *work) {
	s.t.Helper()
	subjects := map[string]bool{}
	for _, e := range s.log {
		subjects[e.Subject] = true
	}
	status := map[string]workflow.Status{}
	s.db(`SELECT sid, status FROM documents`, func(scan func(...any)) {
		var sid, is string
		scan(&sid, &is)
		status[sid] = workflow.Status(is)
	})
	for n := 1; n <= w.n; n++ {
		prefix := fmt.Sprintf("%s%s.%s.", workflow.SubjectPrefix, testAccount, testPX(n))
		want, wanted := workflow.Signed, []string{"became.signing.1", "became.signed.1"}
		for _, order := range orders(n) {
			wanted = append(wanted, "order."+string(order)+".register")
		}
		if strings.HasPrefix(signer(n), "no-such-user") {
			want, wanted = workflow.Failed, []string{"became.failed.1"}
		}
		if got := status[string(testPX(n))]; got != want {
			s.t.Errorf("lost: document %d is %s, want %s", n, got, want)
		}
		for _, what := range wanted {
			if !subjects[prefix+what] {
				s.t.Errorf("lost: %s%s is not on the log", prefix, what)
			}
		}
	}
}

// mails holds the mails to what the catcher caught (I4, I5).
func (s seen) mails(x *town, c *toll) {
	s.t.Helper()
	caught := map[string]int{}
	for _, m := range x.box.Mails() {
		id, _, _ := strings.Cut(strings.Trim(m.MessageID, "<>"), "@")
		caught[id]++
	}
	known := map[string]int{}
	s.db(`SELECT id, state, doubts FROM mails`, func(scan func(...any)) {
		var id, state string
		var doubts int
		scan(&id, &state, &doubts)
		known[string(workflow.MailID(id).Document())]++
		n := caught[id]
		delete(caught, id)
		switch {
		case state == "accepted" && n == 0:
			s.t.Errorf("I4: lost: %s is said to be accepted, and the server never saw it", id)
		case state != "accepted" && (state != "rejected" || n > 0):
			s.t.Errorf("%s ends as %s, caught %d times", id, state, n)
		case n > 1 && n-1 > doubts:
			s.t.Errorf("I5: %s was sent %d times and was in doubt %d times", id, n, doubts)
		}
		if state == "accepted" {
			c.mails++
		}
		if doubts > 0 {
			c.doubted++
		}
		if n > 1 {
			c.doubled++
			c.copies += n - 1
		}
	})
	for id := range caught {
		s.t.Errorf("%s was sent, and nothing owed it", id)
	}
	for n := 1; n <= c.documents; n++ {
		want := 4 // signature, sent to cc, signed to cc and signer
		if strings.HasPrefix(signer(n), "no-such-user") {
			want = 1
		}
		if got := known[string(testPX(n))]; got != want {
			s.t.Errorf("I4: document %d has %d mails, want %d", n, got, want)
		}
	}
}

// order holds the emails of a document to one recipient to the order in which they
// became pending, each by its first arrival (I4).
func (s seen) order(x *town) {
	s.t.Helper()
	first := map[string]int{}
	for i, m := range x.box.Mails() {
		id, _, _ := strings.Cut(strings.Trim(m.MessageID, "<>"), "@")
		if _, before := first[id]; !before {
			first[id] = i
		}
	}
	last := map[string]string{}
	s.db(`SELECT id, lower(recipient) FROM mails WHERE state = 'accepted' ORDER BY cause_seq, cause_index`, func(scan func(...any)) {
		var id, recipient string
		scan(&id, &recipient)
		key := string(workflow.MailID(id).Document()) + " " + recipient
		if before := last[key]; before != "" && first[before] > first[id] {
			s.t.Errorf("I4: %s arrived after %s, which the same recipient should get later", before, id)
		}
		last[key] = id
	})
}
