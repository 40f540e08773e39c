package eventlog_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
)

// TestLogFollow_StreamIsChangedWhileFollowed changes the stream while a worker is
// connected. The worker recognizes each change and says what to do.
func TestLogFollow_StreamIsChangedWhileFollowed(t *testing.T) {
	for name, test := range map[string]struct {
		does func(*testing.T, jetstream.JetStream)
		says []string
	}{
		"settings that lose events": {func(t *testing.T, js jetstream.JetStream) {
			config := look(t, js).CachedInfo().Config
			config.MaxMsgs = 100
			if _, err := js.UpdateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
		}, []string{"not safe", "max_msgs is 100", "nats stream edit AUTHDOCS --max-msgs=-1"}},
		"removed and created again": {func(t *testing.T, js jetstream.JetStream) {
			config := look(t, js).CachedInfo().Config
			if err := js.DeleteStream(t.Context(), events.StreamName); err != nil {
				t.Fatal(err)
			}
			if _, err := js.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
		}, []string{"created again", "rebuild --from-log"}},
	} {
		t.Run(name, func(t *testing.T) {
			nc := eventstest.Connect(t, eventstest.Server(t))
			log := eventstest.Open(t, nc, 1)
			appendAll(t, log, 0, 5)
			var f fold
			ended := make(chan error, 1)
			go func() { ended <- log.Follow(t.Context(), &f) }()
			eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == 5 })
			test.does(t, manager(t, nc))
			err := <-ended
			for _, says := range test.says {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("it does not say %q: %v", says, err)
				}
			}
			if diff := cmp.Diff(createdIDs(0, 5), f.seen()); diff != "" {
				t.Errorf("other entries were applied (-want +got):\n%s", diff)
			}
		})
	}
}

func look(t *testing.T, js jetstream.JetStream) jetstream.Stream {
	t.Helper()
	stream, err := js.Stream(t.Context(), events.StreamName)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// TestLogFollow_WaitsForRemovedStream removes the stream: the worker logs it, waits,
// and does not follow another stream of the same name.
func TestLogFollow_WaitsForRemovedStream(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	var said logtest.Buffer
	log, err := eventlog.Open(t.Context(), nc, 1, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, log, 0, 5)
	var f fold
	ended := make(chan error, 1)
	go func() { ended <- log.Follow(t.Context(), &f) }()
	eventstest.Wait(t, "all entries applied", func() bool { return f.sequence() == 5 })
	js := manager(t, nc)
	config := look(t, js).CachedInfo().Config
	if err := js.DeleteStream(t.Context(), events.StreamName); err != nil {
		t.Fatal(err)
	}
	eventstest.Wait(t, "the worker to say that the stream is gone", func() bool {
		return strings.Contains(said.String(), "it was removed, or is being restored")
	})
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, eventlog.ErrGuard) {
		t.Errorf("another stream of the name: %v", err)
	}
}

// TestLogFollow_EntriesPurgedWhileBehind purges entries that the worker has not read
// yet while it applies a batch.
func TestLogFollow_EntriesPurgedWhileBehind(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	log := eventstest.Open(t, nc, 1)
	stream := authdocs(t, nc)
	const n = 120 // far more than a worker reads ahead
	large := make([]byte, 400<<10)
	for range n {
		if _, err := manager(t, nc).Publish(t.Context(), events.Prefix+"large", large); err != nil {
			t.Fatal(err)
		}
	}
	var f fold
	var once sync.Once
	f.onApply = func() (err error) {
		once.Do(func() { err = stream.Purge(context.Background(), jetstream.WithPurgeSequence(n-1)) })
		return err
	}
	err := followToItsEnd(t, log, &f)
	if !errors.Is(err, eventlog.ErrGuard) || !strings.Contains(err.Error(), "snapshot") {
		t.Errorf("got %v, want ErrGuard and a word about a snapshot", err)
	}
	if f.sequence() >= n-1 {
		t.Errorf("it went on to entry %d", f.sequence())
	}
}
