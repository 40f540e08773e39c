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

// TestOpen_MigrationsGiveTheSchema holds the migrations to what sqlc reads.
func TestOpen_MigrationsGiveTheSchema(t *testing.T) {
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
		s = strings.Join(strings.Fields(comment.ReplaceAllString(s, "")), " ")
		out = append(out, strings.NewReplacer(" ,", ",", " )", ")").Replace(s)) // as ALTER TABLE leaves it
	}
	return out
}

// TestQuery_KeepsToWhatSQLCSupports finds in query.sql what sqlc's SQLite engine
// gets wrong without an error.
func TestQuery_KeepsToWhatSQLCSupports(t *testing.T) {
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

// TestSchema_ListsTheWordsOfTheRules holds the CHECKs of the schema to the words of the rules.
func TestSchema_ListsTheWordsOfTheRules(t *testing.T) {
	for column, words := range map[string][]string{
		"status": texts(workflow.Statuses), "kind": texts(workflow.MailKinds), "state": texts(workflow.MailStates),
		"timer":  texts(workflow.TimerKinds),
		"result": {"applied", "unchanged", "parked", "refused", "dead_letter"},
	} {
		check := regexp.MustCompile(`CHECK \((` + column + ` = [^)]*)\)`).FindStringSubmatch(countersign.Schema)
		if check == nil {
			t.Errorf("no CHECK on %s", column)
			continue
		}
		var got []string
		for _, term := range strings.Split(check[1], " OR ") {
			got = append(got, strings.Trim(strings.TrimPrefix(term, column+" = "), "'"))
		}
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

// TestQuery_UsesIndex holds the queries that run all the time, and those
// of the REST API, to an index that gives their order too, whatever the tables
// hold: no table is scanned, and nothing is sorted.
func TestQuery_UsesIndex(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	queries := statements(t)
	for name, search := range map[string]string{
		"GetDocument":           "documents USING INDEX sqlite_autoindex_documents_1 (sid=?)",
		"PlaceOf":               "documents USING INDEX sqlite_autoindex_documents_1 (sid=?)",
		"OlderDocuments":        "documents USING INDEX documents_account (account_sid=? AND place<?)",
		"NewerDocuments":        "documents USING INDEX documents_account (account_sid=? AND place>?)",
		"OlderOfStatus":         "documents USING INDEX documents_status (account_sid=? AND status=? AND place<?)",
		"NewerOfStatus":         "documents USING INDEX documents_status (account_sid=? AND status=? AND place>?)",
		"OlderOfEmail":          "documents USING INDEX documents_email (account_sid=? AND email=? AND place<?)",
		"NewerOfEmail":          "documents USING INDEX documents_email (account_sid=? AND email=? AND place>?)",
		"OlderOfEmailAndStatus": "documents USING INDEX documents_email_status (account_sid=? AND email=? AND status=? AND place<?)",
		"NewerOfEmailAndStatus": "documents USING INDEX documents_email_status (account_sid=? AND email=? AND status=? AND place>?)",
		"RefusalAt":             "refusals USING INTEGER PRIMARY KEY (rowid=?)",
		"AskedBefore":           "mails USING INDEX mails_asked (asked=? AND caused_ms>?)",
		"LoadAsked":             "m USING PRIMARY KEY (id>? AND id<?)",
		"DueMails":              "mails USING COVERING INDEX mails_due (<expr>=? AND due_ms<?)",
		"DueMailsAgain":         "mails USING COVERING INDEX mails_due (<expr>=? AND due_ms<?)",
		"NextDueMail":           "mails USING COVERING INDEX mails_due (<expr>=?)",
		"ClaimedMails":          "mails USING INDEX mails_claim (claim=?)",
		"OpenClaims":            "mails USING COVERING INDEX mails_claim",
		"DueEvents":             "outbox_events USING INDEX outbox_events_due (due_ms<?)",
		"NextDueEvent":          "outbox_events USING COVERING INDEX outbox_events_due (due_ms>?)",
		"MailsInDoubt":          "mails USING INDEX mails_doubt (doubts>?)",
		"DocumentMails":         "mails USING PRIMARY KEY (id>? AND id<?)",
		"DocumentParked":        "parked USING INDEX parked_document (document_sid=?)",
		"DocumentRefusals":      "refusals USING INDEX refusals_document (document_sid=?)",
		"DocumentHistory":       "history USING PRIMARY KEY (document_sid=?)",
	} {
		plan := explained(t, s.read, queries[name])
		if !strings.Contains(plan, search) {
			t.Errorf("%s plans\n%s\nwant %s", name, plan, search)
		}
		if page := strings.HasPrefix(name, "Older") || strings.HasPrefix(name, "Newer"); (page || slices.Contains(unsorted, name)) && (strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE")) {
			t.Errorf("%s scans or sorts:\n%s", name, plan)
		}
	}
}

// unsorted are statements besides the pages of lists that need no sorting: it costs
// more than all the rest of them.
var unsorted = []string{"AskedBefore", "ClaimedMails"}

// TestQuery_IsPreparedOnce: SQLite prepares a statement again for each value
// of a parameter that it compares with an expression of an index, which costs twenty
// times the query.
func TestQuery_IsPreparedOnce(t *testing.T) {
	indexed := regexp.MustCompile(`attempts > 0\)? *(=|<|>|IN)+ *('1'|CAST)`)
	for name, query := range statements(t) {
		if found := indexed.FindString(query); found != "" {
			t.Errorf("%s compares an indexed expression with a parameter: %s", name, found)
		}
	}
}

// TestOpenScratch_FoldNeedsNoDroppedIndex names the statements that use an index
// which a scratch database does not have. No statement of the fold may be one: it
// would read a whole table each time.
func TestOpenScratch_FoldNeedsNoDroppedIndex(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	scratch, err := OpenScratch(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer scratch.Close()
	fresh, err := sql.Open("sqlite3", uri(scratch.path)) // a connection that has not read the schema before
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	var got []string
	for name, query := range statements(t) {
		if explained(t, s.read, query) != explained(t, fresh, query) {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	want := []string{ // all of them read for the relay, the REST API or a command
		"AskedBefore", "Backlog", "ClaimedMails", "DueEvents", "DueMails", "DueMailsAgain", "ListDocuments", "MailsInDoubt", "NewerDocuments", "NewerOfEmail",
		"NewerOfEmailAndStatus", "NewerOfStatus", "NextDueEvent", "NextDueMail", "OlderDocuments", "OlderOfEmail", "OlderOfEmailAndStatus",
		"OlderOfStatus", "OpenClaims",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other statements (+) than these (-) need the indexes:\n%s", diff)
	}
}

// statements are those of query.sql by name, with '1' for each argument.
func statements(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("../query.sql")
	if err != nil {
		t.Fatal(err)
	}
	queries := map[string]string{}
	for _, query := range strings.Split(string(raw), "-- name: ")[1:] {
		name, body, _ := strings.Cut(query, " ")
		_, body, _ = strings.Cut(body, "\n")
		queries[name] = regexp.MustCompile(`@\w+`).ReplaceAllString(body, "'1'")
	}
	return queries
}

// TestOpen_QueriesNeedNoEphemeralTable holds the statements of the fold to the tables
// that are there: SQLite gives an ephemeral one a page cache of its own, which
// costs more than the statement itself. An IN list of three values and more
// opens one, even in a CHECK of a column that is written, and so does IN (SELECT ...).
func TestOpen_QueriesNeedNoEphemeralTable(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rare := map[string]string{
		"DeleteClosed":  "an erasure",
		"DeleteInbox":   "an erasure, and it reads the whole inbox",
		"TakeRegisters": "an erasure, and it reads the whole inbox",
		"ListDocuments": "an operator's command",

		"StopDeliveries": "a webhook is disabled",
		"OrdersToldOf":   "an erasure",
		"DueReceivers":   "the look for due deliveries, outside the fold",

		"AppliedBefore": "a log that has lost its tail",
		"DueEvents":     "it sorts",
		"DueMails":      "its lists are seldom there",
		"DueMailsAgain": "its list is seldom there",
	}
	for name, query := range statements(t) {
		if opens := ephemeralTables(t, s.read, query); (opens > 0) != (rare[name] != "") {
			t.Errorf("%s opens %d ephemeral tables; among the exceptions: %q", name, opens, rare[name])
		}
	}
}

// ephemeralTables counts the ephemeral tables that a statement opens.
func ephemeralTables(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	rows, err := db.Query("EXPLAIN " + query)
	if err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	defer rows.Close()
	for rows.Next() {
		var opcode string
		var x sql.RawBytes
		if err := rows.Scan(&x, &opcode, &x, &x, &x, &x, &x, &x); err != nil {
			t.Fatal(err)
		}
		if opcode == "OpenEphemeral" || opcode == "OpenAutoindex" {
			n++
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

// explained is how SQLite would answer a query, a step a line.
func explained(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	rows, err := db.Query("EXPLAIN QUERY PLAN " + query)
	if err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(step + "\n")
	}
	return plan.String()
}
