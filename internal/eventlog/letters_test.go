package eventlog_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

func TestLogPutLetter_KeepsLetter(t *testing.T) {
	broker := eventstest.Server(t)
	nc := eventstest.Connect(t, broker)
	log := eventstest.Open(t, nc, 1)
	name := eventlog.LetterName("PX000102030405060708090a0b0c0d0e0f", "sha256:"+strings.Repeat("ab", 32))
	if _, err := log.Letter(t.Context(), name); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("before the store is made: %v", err)
	}
	pdf := bytes.Repeat([]byte("letter"), 100_000) // of several chunks
	for range 2 {
		if err := log.PutLetter(t.Context(), name, pdf); err != nil {
			t.Fatal(err)
		}
	}
	broker.Restart()
	eventstest.WaitFor(t, time.Minute, "the letter after a restart", func() bool {
		got, err := log.Letter(t.Context(), name)
		return err == nil && bytes.Equal(got, pdf)
	})
	if _, err := log.Letter(t.Context(), name+"0"); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("another name: %v", err)
	}
	broker.Stop()
	if _, err := log.Letter(t.Context(), name); !errors.Is(err, workflow.ErrUnavailable) {
		t.Errorf("without a server: %v", err)
	}
}

func TestLogPutLetter_RefusesStoreThatExpiresLetters(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: eventlog.LettersBucket, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if err := log.PutLetter(t.Context(), "x", []byte("y")); err == nil || !strings.Contains(err.Error(), "not safe") {
		t.Errorf("got %v", err)
	}
}

// TestLogRemoveLetters_RemovesCutOffUpload leaves chunks of an upload that was cut off:
// they are removed with the document's letters, but not while the upload may go on.
func TestLogRemoveLetters_RemovesCutOffUpload(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	name := eventlog.LetterName("PX000102030405060708090a0b0c0d0e0f", "sha256:"+strings.Repeat("ab", 32))
	if err := log.PutLetter(t.Context(), name, []byte("a letter")); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	const chunks = "$O." + eventlog.LettersBucket + ".C.cutoff"
	for range 2 {
		if _, err := js.Publish(t.Context(), chunks, []byte("half of a letter")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		wait time.Duration
		left uint64
	}{{time.Hour, 2}, {0, 0}} {
		eventlog.SetUploadWait(c.wait)
		if err := log.RemoveLetters(t.Context(), "PX000102030405060708090a0b0c0d0e00"); err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(t.Context(), "OBJ_"+eventlog.LettersBucket)
		if err != nil {
			t.Fatal(err)
		}
		info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(chunks))
		if err != nil || info.State.Subjects[chunks] != c.left {
			t.Errorf("after %s: %d chunks are left, want %d; %v", c.wait, info.State.Subjects[chunks], c.left, err)
		}
	}
	eventlog.SetUploadWait(time.Hour)
	if got, err := log.Letter(t.Context(), name); err != nil || string(got) != "a letter" {
		t.Errorf("the letter that was whole: %q, %v", got, err)
	}
}
