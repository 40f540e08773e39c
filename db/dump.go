package db

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// dumpedTable is a table as a dump has it. The first key columns tell its rows
// apart. Columns that a table was given since are last and in grown: a row in
// which all of these are empty is dumped without them, as it always was.
type dumpedTable struct {
	table   string
	key     int
	columns string
	rows    string
	grown   string
}

// all lists the columns, those in grown too.
func (t dumpedTable) all() string {
	if t.grown == "" {
		return t.columns
	}
	return t.columns + ", " + t.grown
}

// short is how many columns a row has that is dumped without those in grown.
func (t dumpedTable) short() int { return 1 + strings.Count(t.columns, ",") }

// dumped lists the tables, their columns and their rows in order. What differs between
// two replicas of one log is left out: the worker's name, and places, which
// count what a file has held.
var dumped = []dumpedTable{
	{"position", 0, "sequence, entry_ns, source, event_id, stream_ns, claim, claim_worker, rules, parking_ms", "ORDER BY one", "timers, notify_cc, mail_limits"},
	{"inbox", 2, "source, event_id, sequence, entry_ns, result", "ORDER BY source, event_id", ""},
	{"documents", 1, "sid, account_sid, status, round, hold, address_sid, email, cc_emails, hosted_number_orders, contact_title, " +
		"contact_phone_number, reason, canceled_by, evidence, letter_digest, letter_stale, created_ms, updated_ms, signed_ms", "ORDER BY place", "timers, expires_ms, fresh_ms, details"},
	{"holders", 1, "key, document_sid", "ORDER BY key", ""},
	{"mails", 1, "id, kind, recipient, domain, state, owed_seq, owed_index, owed_ms, due_ms, attempts, claim, doubts, trouble_ms, withdrawn, " +
		"code, reply, settled_ms, about", "ORDER BY id", ""},
	{"owed_events", 1, "subject, type, body, cause, at_ms, due_ms, settled_seq", "ORDER BY subject", "answers"},
	{"parked", 1, "sequence, document_sid, account_sid, source, event_id, subject, type, order_sid, body, entry_ns, until_ms", "ORDER BY sequence", ""},
	{"timers", 2, "document_sid, timer, number, due_ms, every_ms, more", "ORDER BY document_sid, timer", "early"},
	{"turned_down", 1, "sequence, dead, subject, account_sid, document_sid, source, event_id, code, message, field, at_ms", "ORDER BY sequence", "order_sid, holder_sid, until_ms"},
	{"closed", 1, "sequence, by_sequence, reason, at_ms", "ORDER BY sequence", ""},
	{"journal", 3, "document_sid, sequence, line, at_ms, what, detail", "ORDER BY document_sid, sequence, line", ""},
	{"bounces", 2, "mail_id, sequence, at_ms, action, status, diagnostic", "ORDER BY mail_id, sequence", ""},
	{"erased", 1, "document_sid, account_sid, status, sequence", "ORDER BY document_sid", ""},
	{"tallies", 3, "what, kind, more, n", "WHERE n <> 0 ORDER BY what, kind, more", ""},
}

// Dump writes the whole state, canonically: two stores that have folded the
// same log to the same position dump the same bytes. Each line is a JSON array
// of the table's name and a row.
func (s *Store) Dump(ctx context.Context, to io.Writer) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("dump: %w", err)
	}
	defer tx.Rollback() // it only reads
	w := bufio.NewWriter(to)
	for _, t := range dumped {
		if err := dumpTable(ctx, tx, w, t); err != nil {
			return fmt.Errorf("dump %s: %w", t.table, err)
		}
	}
	return w.Flush()
}

func dumpTable(ctx context.Context, tx *sql.Tx, w io.Writer, t dumpedTable) error {
	rows, err := tx.QueryContext(ctx, "SELECT "+t.all()+" FROM "+t.table+" "+t.rows)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	out := json.NewEncoder(w)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		row := values
		if short := t.short(); !slices.ContainsFunc(values[short:], func(v any) bool { return v != "" && v != int64(0) }) {
			row = values[:short]
		}
		if err := out.Encode(append([]any{t.table}, row...)); err != nil {
			return err
		}
	}
	return rows.Err()
}
