package db

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"slices"
	"strings"
)

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
// values by column; nil where a dump lacks the row.
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
		return "", "", nil, fmt.Errorf("not a line of a dump: %.60s", line)
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
