package events_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign/events"
	"countersign/workflow"
)

var jsonBlock = regexp.MustCompile("(?s)```json\n({.*?)```")

// TestDecode_ReadsEveryExampleOfTheDocs decodes each event of docs/events.md.
// Every type of the contract must have an example, and every status and code
// must be named.
func TestDecode_ReadsEveryExampleOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, block := range jsonBlock.FindAllSubmatch(text, -1) {
		var line struct {
			Subject string
			Data    json.RawMessage
		}
		if err := json.NewDecoder(bytes.NewReader(block[1])).Decode(&line); err != nil {
			t.Errorf("%v: %s", err, block[1])
			continue
		}
		body := events.Decode(events.Message{Subject: line.Subject, Data: line.Data}).Body
		if bad, ok := body.(workflow.Invalid); ok {
			t.Errorf("%s: %s", bad.Message, block[1])
		}
		read[body.Type()] = true
	}
	schemas, err := filepath.Glob("../docs/schemas/*.json")
	if err != nil || len(schemas) == 0 {
		t.Fatalf("found %d schemas, %v", len(schemas), err)
	}
	for _, path := range schemas {
		typ := strings.TrimSuffix(filepath.Base(path), ".json")
		if typ != "envelope" && !read[typ] {
			t.Errorf("docs/events.md has no example of %s", typ)
		}
	}
	for _, word := range words() {
		if !strings.Contains(string(text), "`"+word+"`") {
			t.Errorf("docs/events.md does not name %s", word)
		}
	}
}

// words lists what a publisher looks up.
func words() []string {
	words := []string{
		workflow.TypeCreated, workflow.TypeUpdated, workflow.TypeStatusChanged, workflow.TypeResend, workflow.TypeOrderStatusChanged,
		workflow.TypeBounced, "phone_number",
	}
	for _, s := range workflow.OrderStatuses {
		words = append(words, string(s))
	}
	for _, s := range workflow.Statuses {
		words = append(words, string(s))
	}
	for _, c := range []workflow.Code{
		workflow.CodeUnreadable, workflow.CodeUnknownType, workflow.CodeUnknownVersion, workflow.CodeInvalid, workflow.CodeTooLarge,
		workflow.CodeParkedTooLong, workflow.CodeParkedTooMany, workflow.CodeCrashed, workflow.CodeExists, workflow.CodeImmutable,
		workflow.CodeStatus, workflow.CodeRound, workflow.CodeOrderTaken, workflow.CodeNumberTaken, workflow.CodeOrderUnknown, workflow.CodeMailUnknown,
		workflow.CodeTooManyEmails, workflow.CodeAccount, workflow.CodeErased,
	} {
		words = append(words, string(c))
	}
	return words
}
