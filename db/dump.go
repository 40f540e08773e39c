package db

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
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

// dumped lists the tables, their columns and their rows in order. Columns that
// differ between replicas of one log are omitted: the worker's name, and the
// row order number (place), which is local to a file.
var dumped = []dumpedTable{
	{"position", 0, "sequence, entry_ns, source, event_id, stream_ns, claim, claim_worker, rules, parking_ms", "ORDER BY one", "timers, notify_cc, mail_limits, letter_requires, hook_claim, hook_worker"},
	{"inbox", 2, "source, event_id, sequence, entry_ns, result", "ORDER BY source, event_id", ""},
	{"documents", 1, "sid, account_sid, status, round, hold, address_sid, email, cc_emails, hosted_number_orders, contact_title, " +
		"contact_phone_number, reason, canceled_by, evidence, letter_digest, letter_stale, created_ms, updated_ms, signed_ms", "ORDER BY place", "timers, expires_ms, fresh_ms, details, waits_for"},
	{"hosted_number_orders", 1, "sid, account_sid, listed, status, phone_number, friendly_name, unique_name, incoming_phone_number_sid, data", "ORDER BY sid", ""},
	{"addresses", 1, "sid, account_sid, listed, customer_name, friendly_name, iso_country, emergency, data", "ORDER BY sid", ""},
	{"holders", 1, "key, document_sid", "ORDER BY key", ""},
	{"mails", 1, "id, kind, recipient, domain, state, cause_seq, cause_index, caused_ms, due_ms, attempts, claim, doubts, trouble_ms, withdrawn, " +
		"code, reply, done_ms, about", "ORDER BY id", ""},
	{"outbox_events", 1, "subject, type, body, cause, at_ms, due_ms, done_seq", "ORDER BY subject", "answers"},
	{"webhooks", 1, "sid, account_sid, url, status, reason, secrets, sequence, created_ms, updated_ms", "ORDER BY sid", ""},
	{"deliveries", 1, "id, account_sid, receiver, about, document_sid, type, method, url, body, state, caused_ms, due_ms, failures, claim, code, reply", "ORDER BY id", ""},
	{"parked", 1, "sequence, document_sid, account_sid, source, event_id, subject, type, order_sid, body, entry_ns, until_ms", "ORDER BY sequence", ""},
	{"timers", 2, "document_sid, timer, number, due_ms, every_ms, more", "ORDER BY document_sid, timer", "early"},
	{"refusals", 1, "sequence, dead, subject, account_sid, document_sid, source, event_id, code, message, field, at_ms", "ORDER BY sequence", "order_sid, holder_sid, until_ms"},
	{"closed", 1, "sequence, by_sequence, reason, at_ms", "ORDER BY sequence", ""},
	{"history", 3, "document_sid, sequence, line, at_ms, what, detail", "ORDER BY document_sid, sequence, line", ""},
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

// DumpPosition reads of a dump's file up to which entry it is.
func DumpPosition(path string) (sequence uint64, err error) {
	err = eachLine(path, func(line []byte) error {
		var row []json.RawMessage
		if json.Unmarshal(line, &row) != nil || len(row) < 2 || string(row[0]) != `"position"` || json.Unmarshal(row[1], &sequence) != nil {
			return errors.New("it is not what countersign dump writes")
		}
		return io.EOF
	})
	return sequence, err
}

// Differing is one row that two dumps do not agree on. Want and Got are its
// values by column; nil if a dump lacks the row.
type Differing struct {
	Table, Key string
	Want, Got  map[string]string
}

// String writes the row for people: the columns that differ, or all of a row
// that one of the dumps lacks.
func (d Differing) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", d.Table, d.Key)
	if d.Want == nil || d.Got == nil {
		sign, row := " + ", d.Got
		if d.Got == nil {
			sign, row = " - ", d.Want
		}
		for _, c := range columnsOf(d.Table) {
			if row[c] != "" {
				fmt.Fprintf(&b, "\n %s%s: %s", sign, c, row[c])
			}
		}
		return b.String()
	}
	for _, c := range columnsOf(d.Table) {
		if d.Want[c] != d.Got[c] {
			fmt.Fprintf(&b, "\n  - %s: %s\n  + %s: %s", c, d.Want[c], c, d.Got[c])
		}
	}
	return b.String()
}

func columnsOf(table string) []string {
	for _, t := range dumped {
		if t.table == table {
			return strings.Split(t.all(), ", ")
		}
	}
	return nil
}

// Difference lists the rows that the dumps in two files do not agree on, in
// the dump's order. It remembers a digest a line, and only the lines that
// differ.
func Difference(want, got string) ([]Differing, error) {
	seed := maphash.MakeSeed()
	count := map[uint64]int{}
	tally := func(n int) func([]byte) error {
		return func(line []byte) error { count[maphash.Bytes(seed, line)] += n; return nil }
	}
	if err := errors.Join(eachLine(want, tally(1)), eachLine(got, tally(-1))); err != nil {
		return nil, err
	}
	var rows []Differing
	at := map[string]int{}
	keep := func(sign int, put func(*Differing, map[string]string)) func([]byte) error {
		return func(line []byte) error {
			if count[maphash.Bytes(seed, line)]*sign <= 0 {
				return nil
			}
			table, key, row, err := parseLine(line)
			if err != nil {
				return err
			}
			i, ok := at[table+" "+key]
			if !ok {
				i = len(rows)
				at[table+" "+key] = i
				rows = append(rows, Differing{Table: table, Key: key})
			}
			put(&rows[i], row)
			return nil
		}
	}
	err := errors.Join(
		eachLine(want, keep(1, func(d *Differing, row map[string]string) { d.Want = row })),
		eachLine(got, keep(-1, func(d *Differing, row map[string]string) { d.Got = row })))
	order := func(d Differing) int {
		return slices.IndexFunc(dumped, func(t dumpedTable) bool { return t.table == d.Table })
	}
	slices.SortStableFunc(rows, func(a, b Differing) int { return order(a) - order(b) })
	return rows, err
}

// parseLine takes a line of a dump apart.
func parseLine(line []byte) (table, key string, row map[string]string, err error) {
	var values []json.RawMessage
	if err := json.Unmarshal(line, &values); err != nil || len(values) == 0 {
		return "", "", nil, fmt.Errorf("a line of a dump must be a JSON array that begins with a table's name, got %.60s", line)
	}
	_ = json.Unmarshal(values[0], &table) // a table that is not ours has no columns
	columns := columnsOf(table)
	i := slices.IndexFunc(dumped, func(t dumpedTable) bool { return t.table == table })
	if n := len(values) - 1; i < 0 || n != len(columns) && n != dumped[i].short() {
		return "", "", nil, fmt.Errorf("a dump of another version of countersign: table %q has %d columns", table, len(values)-1)
	}
	row = make(map[string]string, len(columns))
	for i, v := range values[1:] {
		row[columns[i]] = strings.Trim(string(v), `"`)
	}
	var parts []string
	for _, c := range columns[:dumped[i].key] {
		parts = append(parts, row[c])
	}
	return table, strings.Join(parts, " "), row, nil
}

// eachLine calls f with each line of a file; io.EOF from it ends the reading.
func eachLine(path string, f func(line []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	s := bufio.NewScanner(file)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		if err := f(s.Bytes()); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}
