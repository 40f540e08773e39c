package main

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"countersign/events"
	"countersign/internal/test/devserver"
	"countersign/workflow"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var letter = request{
	account: "AC26afce54bcde795fe40605a037dbf3a6", document: "PX0000000000000000000000000000beef",
	order: "HR00000000000000000000000000000001", email: "owner@example.com", number: "+14155550100",
}

// TestRun_FollowsADocumentToItsRegistration runs the service beside
// `countersign dev`. Another service says that the document was signed.
func TestRun_FollowsADocumentToItsRegistration(t *testing.T) {
	server, js := start(t)
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(t.Context(), server.URL, letter, out)
		out.Close()
		ended <- err
	}()
	var lines []string
	for in := bufio.NewScanner(in); in.Scan(); {
		lines = append(lines, in.Text())
		if in.Text() == "signing, round 1" {
			signed := events.StatusChanged("/desk", "signed-on-paper", letter.account, letter.document, workflow.StatusChanged{Status: workflow.Signed})
			if _, err := events.Publish(t.Context(), js, signed); err != nil {
				t.Error(err)
			}
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, want := range []string{"opened, round 1", "signing, round 1", "signed, round 1", "register +14155550100"} {
		if !strings.Contains(strings.Join(lines, "\n"), want) {
			t.Errorf("the service does not print %q: %q", want, lines)
		}
	}
	second := letter
	second.document = "PX0000000000000000000000000000cafe"
	if err := run(t.Context(), server.URL, second, io.Discard); err == nil || !strings.Contains(err.Error(), string(workflow.CodeOrderTaken)) {
		t.Errorf("a second document for the same order ends with %v", err)
	}
}

func start(t *testing.T) (*devserver.Server, jetstream.JetStream) {
	t.Helper()
	server, err := devserver.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	nc, err := nats.Connect(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return server, js
}
