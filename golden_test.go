package countersign_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"countersign/db"
	"countersign/events"
	"countersign/workflow"
)

var (
	update = flag.Bool("update", false, "write the golden log and its dump where they are missing")
	force  = flag.Bool("force", false, "with -update: overwrite the dumps of golden logs, released or not")
)

// golden has logs that every later program must fold to the same state: one for
// each version, and for what was added to it, each with a dump of the database
// made from it.
const golden = "testdata/golden"

// goldenEntry is one line of a golden log.
type goldenEntry struct {
	Sequence uint64      `json:"sequence"`
	Time     time.Time   `json:"time"`
	Subject  string      `json:"subject"`
	Header   nats.Header `json:"header,omitempty"`
	Text     string      `json:"text,omitempty"`
	Bytes    []byte      `json:"bytes,omitempty"` // where the payload is not UTF-8
}

func (g goldenEntry) message() events.Message {
	data := g.Bytes
	if data == nil {
		data = []byte(g.Text)
	}
	return events.Message{Sequence: g.Sequence, Time: g.Time, Subject: g.Subject, Header: g.Header, Data: data}
}

// goldenStream is when the golden logs' streams were made.
var goldenStream = time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)

// TestGolden_LogsComeToTheSameState folds every golden log, at once and entry by
// entry, and compares the database with the one of the release.
func TestGolden_LogsComeToTheSameState(t *testing.T) {
	if *update {
		recordGolden(t, filepath.Join(golden, "v1.jsonl"), (*recorder).script)
		recordGolden(t, filepath.Join(golden, "v1-reports.jsonl"), (*recorder).reports)
		recordGolden(t, filepath.Join(golden, "v1-timers.jsonl"), (*recorder).timers)
		recordGolden(t, filepath.Join(golden, "v1-doors.jsonl"), (*recorder).doors)
		recordGolden(t, filepath.Join(golden, "v1-orders.jsonl"), (*recorder).orders)
		recordGolden(t, filepath.Join(golden, "v1-webhooks.jsonl"), (*recorder).webhooks)
	}
	logs, err := filepath.Glob(filepath.Join(golden, "*.jsonl"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("%d golden logs: %v", len(logs), err)
	}
	for _, log := range logs {
		t.Run(filepath.Base(log), func(t *testing.T) {
			entries := decodeGolden(readGolden(t, log))
			whole, apart := foldGolden(t, entries, len(entries)), foldGolden(t, entries, 1)
			if diff := cmp.Diff(strings.Split(whole, "\n"), strings.Split(apart, "\n")); diff != "" {
				t.Errorf("in one batch (-) and one by one (+) it comes to:\n%s", diff)
			}
			name := strings.TrimSuffix(log, "jsonl") + "dump"
			want, err := os.ReadFile(name)
			switch {
			case *update && (*force || os.IsNotExist(err)):
				err = os.WriteFile(name, []byte(whole), 0o644)
			case *update && string(want) != whole:
				t.Errorf("%s is there and would change: an old log is folded to another state. Where that is meant, add -force", name)
			}
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				return
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(whole, "\n")); diff != "" {
				t.Errorf("this program folds it to another state than the release (-) did; where only the tables have grown, run go test . -run Golden -update -force\n%s", diff)
			}
		})
	}
}

func readGolden(t *testing.T, name string) (out []goldenEntry) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var g goldenEntry
		if err := json.Unmarshal(lines.Bytes(), &g); err != nil {
			t.Fatal(err)
		}
		out = append(out, g)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// decodeGolden reads a log as a follower does: what is in quarantine it knows
// beforehand.
func decodeGolden(log []goldenEntry) (out []workflow.Entry) {
	quarantine := map[uint64]bool{}
	for _, g := range log {
		if q, ok := events.Decode(g.message()).Body.(workflow.Quarantined); ok {
			quarantine[q.Sequence] = true
		}
	}
	for _, g := range log {
		if quarantine[g.Sequence] {
			out = append(out, events.DecodeQuarantined(g.message()))
		} else {
			out = append(out, events.Decode(g.message()))
		}
	}
	return out
}

func foldGolden(t *testing.T, entries []workflow.Entry, size int) string {
	t.Helper()
	s, err := db.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for batch := range slices.Chunk(entries, size) {
		if err := s.Apply(t.Context(), goldenStream, batch); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := s.Dump(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGolden_LogsHaveEverything holds the golden logs to what they are for:
// an event of every type, every reason to be refused, every state of a mail.
func TestGolden_LogsHaveEverything(t *testing.T) {
	logs, err := filepath.Glob(filepath.Join(golden, "v1*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	types, dump := map[string]bool{}, ""
	for _, log := range logs {
		entries := decodeGolden(readGolden(t, log))
		for _, e := range entries {
			types[e.Body.Type()] = true
		}
		dump += foldGolden(t, entries, len(entries))
	}
	schemas, err := filepath.Glob("docs/schemas/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range schemas {
		if typ := strings.TrimSuffix(filepath.Base(s), ".json"); typ != "envelope" && !types[typ] {
			t.Errorf("no event of type %s", typ)
		}
	}
	for _, word := range []string{
		"unreadable", "unknown_type", "unknown_version", "invalid", "too_large", "parked_too_long", "crashed", "already_exists",
		"immutable", "status_conflict", "order_taken", "order_unknown", "wrong_account", "erased",
		"mail_unknown", "address_unknown", "deleted", "verification_used_up", "number_taken",
	} {
		if !strings.Contains(dump, `"`+word+`"`) {
			t.Errorf("nothing was turned down as %s", word)
		}
	}
	for _, state := range workflow.MailStates {
		if !strings.Contains(dump, `"`+string(state)+`"`) {
			t.Errorf("no mail is %s", state)
		}
	}
	for _, result := range []workflow.Result{workflow.ResultApplied, workflow.ResultUnchanged, workflow.ResultParked, workflow.ResultRefused, workflow.ResultDeadLetter} {
		if !strings.Contains(dump, `"`+string(result)+`"]`) {
			t.Errorf("nothing was %s", result)
		}
	}
	if strings.Count(dump, `["closed",`) < 2 {
		t.Error("nothing was sent again and discarded")
	}
}
