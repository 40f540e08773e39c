package db

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
)

// dumped lists the tables, their columns and their rows in order. What differs between
// two replicas of one log is left out: the worker's name, and places in the
// outbox.
var dumped = []struct{ table, columns, rows string }{
	{"position", "sequence, entry_ns, source, event_id, stream_ns, claim, claim_worker, rules, parking_ms", "ORDER BY one"},
	{"inbox", "*", "ORDER BY source, event_id"},
	{"documents", "*", "ORDER BY place"},
	{"holders", "*", "ORDER BY order_sid"},
	{"mails", "*", "ORDER BY id"},
	{"owed_events", "subject, type, body, cause, at_ms, due_ms, settled_seq", "ORDER BY subject"},
	{"parked", "*", "ORDER BY sequence"},
	{"turned_down", "*", "ORDER BY sequence"},
	{"closed", "sequence, by_sequence, reason, at_ms", "ORDER BY sequence"},
	{"journal", "*", "ORDER BY document_sid, sequence, line"},
	{"tallies", "*", "WHERE n <> 0 ORDER BY what, kind, more"},
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
		if err := dumpTable(ctx, tx, w, t.table, "SELECT "+t.columns+" FROM "+t.table+" "+t.rows); err != nil {
			return fmt.Errorf("dump %s: %w", t.table, err)
		}
	}
	return w.Flush()
}

func dumpTable(ctx context.Context, tx *sql.Tx, w io.Writer, table, query string) error {
	rows, err := tx.QueryContext(ctx, query)
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
		if err := out.Encode(append([]any{table}, values...)); err != nil {
			return err
		}
	}
	return rows.Err()
}
