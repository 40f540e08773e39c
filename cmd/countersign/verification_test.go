package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/events"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

// TestDev_CodeOfVerificationIsInTheInbox asks for a verification by call, which dev
// cannot make: what the call would say is in the inbox.
func TestDev_CodeOfVerificationIsInTheInbox(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.jsonl")
	var text strings.Builder
	for _, e := range []events.Event{
		events.OrderCreated("/orders", "o1", testAccount, testHR(1), workflow.OrderCreated{OrderContent: workflow.OrderContent{PhoneNumber: "+14155550101"}}),
		events.Verify("/orders", "v1", testAccount, testHR(1), workflow.Verify{Method: workflow.VerifyByCall, Code: "480213"}),
	} {
		m, err := e.Message()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(&text).Encode(map[string]any{"subject": m.Subject, "data": json.RawMessage(m.Data)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var log logtest.Buffer
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--nats-listen", "off", "--publish", file}, nil, &log, &log)
	}()
	eventstest.WaitFor(t, time.Minute, "dev to be up", func() bool { return strings.Contains(log.String(), "up until") })
	inbox := regexp.MustCompile(`http://\S+/inbox/`).FindString(log.String())
	eventstest.WaitFor(t, time.Minute, "the code in the inbox", func() bool {
		code, body := get(t, inbox+"api/mails")
		return code == 200 && strings.Contains(body, "+14155550101: the code is 480213")
	})
	stop()
	if code := <-done; code != exitOK {
		t.Errorf("dev ends with %d:\n%s", code, log.String())
	}
}
