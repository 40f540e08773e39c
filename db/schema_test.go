package db

import (
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign"
	"countersign/workflow"
)

// TestMigrationsGiveTheSchema holds the migrations to what sqlc reads.
func TestMigrationsGiveTheSchema(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	direct, err := sql.Open("sqlite3", dsn(filepath.Join(dir, "direct.db"), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	if _, err := direct.Exec(countersign.Schema); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(objects(t, direct), objects(t, s.read)); diff != "" {
		t.Errorf("schema.sql (-) and the migrations (+) differ:\n%s", diff)
	}
}

// objects lists what a database consists of, in words that white space and
// comments do not change.
func objects(t *testing.T, db *sql.DB) []string {
	t.Helper()
	rows, err := db.Query("SELECT type || ' ' || name || ': ' || COALESCE(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite_%' ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	comment := regexp.MustCompile(`--[^\n]*`)
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.Join(strings.Fields(comment.ReplaceAllString(s, "")), " "))
	}
	return out
}

// TestQueriesKeepToWhatSQLCBindsRightly lints query.sql for what sqlc's SQLite
// engine gets wrong without an error.
func TestQueriesKeepToWhatSQLCBindsRightly(t *testing.T) {
	raw, err := os.ReadFile("../query.sql")
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range raw {
		if b > 126 {
			t.Fatalf("query.sql has a byte that is not ASCII at offset %d", i)
		}
	}
	for _, query := range strings.Split(string(raw), "-- name: ")[1:] {
		name, body, _ := strings.Cut(query, " ")
		if strings.Contains(body, "?") {
			t.Errorf("%s: has a ? placeholder; use @name everywhere", name)
		}
		if strings.Contains(body, "sqlc.slice") {
			t.Errorf("%s: has sqlc.slice; use json_each of one argument", name)
		}
		if regexp.MustCompile(`(?i)\bBETWEEN\b|IS NOT DISTINCT`).MatchString(body) {
			t.Errorf("%s: uses BETWEEN or IS NOT DISTINCT FROM, which sqlc types wrongly", name)
		}
	}
}

// TestEnumsAgree holds the CHECKs of the schema to the words of the rules.
func TestEnumsAgree(t *testing.T) {
	for column, words := range map[string][]string{
		"status": texts(workflow.Statuses), "kind": texts(workflow.MailKinds), "state": texts(workflow.MailStates),
		"result": {"applied", "unchanged", "parked", "refused", "dead_letter"},
	} {
		m := regexp.MustCompile(`\b` + column + ` IN \(([^)]*)\)`).FindStringSubmatch(countersign.Schema)
		if m == nil {
			t.Errorf("no CHECK on %s", column)
			continue
		}
		got := strings.Split(strings.ReplaceAll(m[1], "'", ""), ",")
		slices.Sort(got)
		slices.Sort(words)
		if diff := cmp.Diff(words, got); diff != "" {
			t.Errorf("%s: the rules (-) and the schema (+) differ:\n%s", column, diff)
		}
	}
}

func texts[S ~string](list []S) []string {
	var out []string
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}

// TestWhatTheRelaysAskUsesAnIndex holds the queries that run all the time to
// an index, whatever the tables hold.
func TestWhatTheRelaysAskUsesAnIndex(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for query, index := range map[string]string{
		"SELECT id, domain, due_ms FROM mails WHERE state = 'owed' AND due_ms <= 1 ORDER BY due_ms, owed_seq, owed_index LIMIT 1": "mails_due",
		"SELECT MIN(due_ms) FROM mails WHERE state = 'owed'":                                                                      "mails_due",
		"SELECT * FROM mails WHERE state = 'claimed' AND claim = 1":                                                               "mails_claim",
		"SELECT DISTINCT claim FROM mails WHERE state = 'claimed' ORDER BY claim":                                                 "mails_claim",
		"SELECT * FROM mails WHERE id > 'a.' AND id < 'a/' AND settled_ms = 0":                                                    "PRIMARY KEY (id>",
		"SELECT * FROM parked WHERE document_sid IN ('a') ORDER BY document_sid":                                                  "parked_document",
		"SELECT count(*) FROM mails WHERE doubts > 0":                                                                             "mails_doubt",
		"SELECT MIN(due_ms) FROM owed_events WHERE settled_seq = 0 AND due_ms > 1":                                                "owed_events_due",
		"SELECT * FROM documents WHERE account_sid = 'a' AND place < 9 ORDER BY place DESC LIMIT 1":                               "documents_account (account_sid=? AND place<?)",
		"SELECT * FROM documents WHERE account_sid = 'a' AND status = 'signed' AND place < 9 ORDER BY place DESC LIMIT 1":         "documents_status (account_sid=? AND status=? AND place<?)",
		"SELECT * FROM documents WHERE account_sid = 'a' AND email = 'e' AND place > 9 ORDER BY place LIMIT 1":                    "documents_email (account_sid=? AND email=? AND place>?)",
	} {
		var id, parent, unused int
		var plan string
		if err := s.read.QueryRow("EXPLAIN QUERY PLAN "+query).Scan(&id, &parent, &unused, &plan); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, index) || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\nplans %q, want index %s and no sorting", query, plan, index)
		}
	}
}
