// Package examples_test holds the example files to what they say of themselves.
package examples_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign/events"
	"countersign/workflow"

	"github.com/google/go-cmp/cmp"
	"github.com/nyaruka/phonenumbers"
)

// line is one line of day.jsonl.
type line struct {
	Subject string          `json:"subject"`
	After   string          `json:"after"`
	Data    json.RawMessage `json:"data"`
}

// expectation is how one document of day.expected.json has to end.
type expectation struct {
	Status   workflow.Status                       `json:"status"`
	Round    int                                   `json:"round"`
	Became   []string                              `json:"became"`
	Register int                                   `json:"register"`
	Orders   map[workflow.SID]workflow.OrderStatus `json:"orders"`
	Mails    map[workflow.MailKind]map[string]int  `json:"mails"`
	Rejected map[workflow.MailKind]map[string]int  `json:"rejected"`
}

// ending is day.expected.json.
type ending struct {
	Totals struct {
		Lines, Duplicates, Became, Register, Rejected, Refused int

		Dead      int                       `json:"dead_letters"`
		Documents map[workflow.Status]int   `json:"documents"`
		Mails     map[workflow.MailKind]int `json:"mails"`
	} `json:"totals"`
	Documents map[workflow.SID]*expectation `json:"documents"`
}

func day(t *testing.T) (lines []line, end ending) {
	t.Helper()
	text, err := os.ReadFile("day.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		var l line
		strictly(t, s.Bytes(), &l)
		lines = append(lines, l)
	}
	text, err = os.ReadFile("day.expected.json")
	if err != nil {
		t.Fatal(err)
	}
	strictly(t, text, &end)
	return lines, end
}

func strictly(t *testing.T, text []byte, into any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%.100s: %v", text, err)
	}
}

// decode reads a line as the program would read it from the log.
func (l line) decode(sequence uint64) workflow.Entry {
	return events.Decode(events.Message{Sequence: sequence, Time: noon, Subject: l.Subject, Data: l.Data})
}

func TestDay_IsRich(t *testing.T) {
	lines, end := day(t)
	if n := len(end.Documents); n < 60 {
		t.Errorf("%d documents, want at least 60", n)
	}
	for _, s := range workflow.Statuses {
		if end.Totals.Documents[s] < 2 {
			t.Errorf("%d documents end %s, want at least 2", end.Totals.Documents[s], s)
		}
	}
	for _, kind := range []workflow.MailKind{workflow.MailSignature, workflow.MailSent, workflow.MailSigned} {
		if end.Totals.Mails[kind] < 50 {
			t.Errorf("%d %s mails, want at least 50", end.Totals.Mails[kind], kind)
		}
	}
	accounts := map[workflow.SID]bool{}
	again := 0
	for _, e := range end.Documents {
		if e.Round == 2 && e.Status == workflow.Signed {
			again++
		}
	}
	for _, l := range lines {
		accounts[l.decode(1).Account] = true
	}
	tt := end.Totals
	got := map[string]bool{
		"several accounts": len(accounts) >= 3, "recalled and sent again": again >= 5, "duplicates": tt.Duplicates >= 5,
		"refused": tt.Refused >= 3, "invalid": tt.Dead == 2, "rejected": tt.Rejected == 2, "lines": tt.Lines == len(lines),
	}
	for what, ok := range got {
		if !ok {
			t.Errorf("%s: not as it should be in %+v", what, tt)
		}
	}
}

func TestDay_IsValid(t *testing.T) {
	lines, end := day(t)
	said := map[string]string{} // by identity, what an event says
	var dead []string
	duplicates := 0
	for i, l := range lines {
		e := l.decode(uint64(i + 1))
		if b, ok := e.Body.(workflow.Invalid); ok {
			dead = append(dead, b.Field)
			continue
		}
		id, says := e.Source+" "+e.ID, l.Subject+string(l.Data)
		switch said[id] {
		case "":
			said[id] = says
		case says:
			duplicates++
		default:
			t.Errorf("line %d: %s is the identity of two events", i+1, id)
		}
	}
	if diff := cmp.Diff([]string{"data", "data.email"}, slices.Sorted(slices.Values(dead))); diff != "" {
		t.Errorf("fields of the dead letters: %s", diff)
	}
	if duplicates != end.Totals.Duplicates {
		t.Errorf("%d duplicates, want %d", duplicates, end.Totals.Duplicates)
	}
}

// fictional are the numbers that are kept for fiction by the authorities of
// North America, the United Kingdom, Germany and France.
var fictional = regexp.MustCompile(`^\+(1\d{3}55501\d\d|44(207946|161496|121496)0\d{3}|49(3023125|2214710)\d{3}|331990\d{5})$`)

func TestDay_ReachesNobody(t *testing.T) {
	text, err := os.ReadFile("day.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	numbers := regexp.MustCompile(`"(\+[^"]*)"`).FindAllSubmatch(text, -1)
	for _, m := range numbers {
		n, err := phonenumbers.Parse(string(m[1]), "")
		if err != nil || !phonenumbers.IsValidNumber(n) || !fictional.Match(m[1]) {
			t.Errorf("%s is not a valid number kept for fiction", m[1])
		}
	}
	domains := regexp.MustCompile(`@([a-z0-9.-]+)"`).FindAllSubmatch(text, -1)
	for _, m := range domains {
		if !regexp.MustCompile(`\.example\.(com|org|net)$`).Match(m[1]) {
			t.Errorf("%s is not a domain kept for examples (RFC 2606)", m[1])
		}
	}
	if len(numbers) < 100 || len(domains) < 100 {
		t.Errorf("found only %d numbers and %d domains", len(numbers), len(domains))
	}
}

// An event can wait only for what follows from events before it.
func TestDay_CanBePublishedInOrder(t *testing.T) {
	lines, _ := day(t)
	created := map[string]bool{}
	for i, l := range lines {
		document := func(subject string) string { return strings.Join(strings.Split(subject, ".")[:4], ".") }
		if l.After != "" && !created[document(l.After)] {
			t.Errorf("line %d waits for %s, of a document that does not exist by then", i+1, l.After)
		}
		if strings.HasSuffix(l.Subject, ".created") {
			created[document(l.Subject)] = true
		}
	}
}
