package events_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"countersign/events"
	"countersign/workflow"
)

// TestReadme_EventsCanBeRead decodes each event of the README that names its
// subject, and looks for each type and status that services send.
func TestReadme_EventsCanBeRead(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```json\n({.*?)```").FindAllSubmatch(readme, -1) {
		var line struct {
			Subject string
			Data    json.RawMessage
		}
		if err := json.NewDecoder(bytes.NewReader(block[1])).Decode(&line); err != nil {
			t.Errorf("%v: %s", err, block[1])
		}
		if line.Subject == "" {
			continue
		}
		body := events.Decode(events.Message{Subject: line.Subject, Data: line.Data}).Body
		if bad, ok := body.(workflow.Invalid); ok {
			t.Errorf("%s: %s", bad.Message, block[1])
		}
		read[body.Type()] = true
	}
	if !read[workflow.TypeStatusChanged] || !read[workflow.TypeOrderStatusChanged] {
		t.Errorf("the README has events of the types %v", read)
	}
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
	for _, word := range words {
		if !strings.Contains(string(readme), "`"+word+"`") {
			t.Errorf("the README does not name %s", word)
		}
	}
}
