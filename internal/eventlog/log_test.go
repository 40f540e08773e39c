package eventlog_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

func TestOpen_MakesStreamOnce(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	appendAll(t, eventstest.Open(t, nc, 1), 0, 3)
	log := eventstest.Open(t, nc, 1)
	if last, err := log.Tail(t.Context()); err != nil || last != 3 {
		t.Errorf("the log ends at %d (%v), want 3", last, err)
	}

	got := authdocs(t, nc).CachedInfo().Config
	want := jetstream.StreamConfig{
		Name: "AUTHDOCS", Subjects: []string{"authdocs.>"}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
		MaxConsumers: -1, MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxMsgSize: eventlog.MaxMessage,
		Duplicates: 10 * time.Minute, AllowAtomicPublish: true, Replicas: 1,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(jetstream.StreamConfig{}, "Description", "Metadata")); diff != "" {
		t.Errorf("the stream has other settings (-want +got):\n%s", diff)
	}
}

func TestOpen_NamesEveryUnsafeSetting(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*jetstream.StreamConfig)
		want   []eventlog.UnsafeSetting
	}{
		"max age":          {func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, oneSetting("max_age", "1h0m0s", "unlimited", "--max-age=0s")},
		"max messages":     {func(c *jetstream.StreamConfig) { c.MaxMsgs = 9 }, oneSetting("max_msgs", "9", "unlimited", "--max-msgs=-1")},
		"max bytes":        {func(c *jetstream.StreamConfig) { c.MaxBytes = 9999 }, oneSetting("max_bytes", "9999", "unlimited", "--max-bytes=-1")},
		"max per subject":  {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, oneSetting("max_msgs_per_subject", "1", "unlimited", "--max-msgs-per-subject=-1")},
		"small messages":   {func(c *jetstream.StreamConfig) { c.MaxMsgSize = 8<<20 - 1 }, oneSetting("max_msg_size", "8388607", "8388608 to 15728640", "--max-msg-size=8388608")},
		"large messages":   {func(c *jetstream.StreamConfig) { c.MaxMsgSize = 15<<20 + 1 }, oneSetting("max_msg_size", "15728641", "8388608 to 15728640", "--max-msg-size=8388608")},
		"max message size": {func(c *jetstream.StreamConfig) { c.MaxMsgSize = 0 }, oneSetting("max_msg_size", "unlimited", "8388608 to 15728640", "--max-msg-size=8388608")},
		"memory":           {func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, oneSetting("storage", "memory", "file", "")},
		"interest":         {func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, oneSetting("retention", "interest", "limits", "--retention=limits")},
		"work queue":       {func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, oneSetting("retention", "workqueue", "limits", "")},
		"discard new":      {func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew }, oneSetting("discard", "new", "old", "--discard=old")},
		"no ack":           {func(c *jetstream.StreamConfig) { c.NoAck = true }, oneSetting("no_ack", "true", "false", "--ack")},
		"roll-ups":         {func(c *jetstream.StreamConfig) { c.AllowRollup = true }, oneSetting("allow_rollup_hdrs", "true", "false", "--no-allow-rollup")},
		"message ttl":      {func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true }, oneSetting("allow_msg_ttl", "true", "false", "")},
		"no atomic batch":  {func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false }, oneSetting("allow_atomic", "false", "true", "--allow-batch")},
		"direct get":       {func(c *jetstream.StreamConfig) { c.AllowDirect = true }, oneSetting("allow_direct", "true", "false", "--no-allow-direct")},
		"short window":     {func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute }, oneSetting("duplicate_window", "1m0s", "2m0s or more", "--dupe-window=10m")},
		"other subjects": {
			func(c *jetstream.StreamConfig) { c.Subjects = []string{"authdocs.v1.>", "other"} },
			oneSetting("subjects", "authdocs.v1.>,other", "authdocs.>", "--subjects=authdocs.>"),
		},
		"transform": {
			func(c *jetstream.StreamConfig) {
				c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "authdocs.>", Destination: "papers.>"}
			},
			oneSetting("subject_transform", "set", "unset", "--no-transform"),
		},
		"sources": {
			func(c *jetstream.StreamConfig) { c.Sources = []*jetstream.StreamSource{{Name: "OTHER"}} },
			oneSetting("sources", "set", "unset", ""),
		},
		"mirror": {
			func(c *jetstream.StreamConfig) {
				c.Mirror, c.Subjects, c.AllowAtomicPublish = &jetstream.StreamSource{Name: "OTHER"}, nil, false
			},
			[]eventlog.UnsafeSetting{
				{Name: "subjects", Is: "none", Must: "authdocs.>", Flag: "--subjects=authdocs.>"},
				{Name: "mirror", Is: "set", Must: "unset", Flag: "--no-mirror"},
				{Name: "allow_atomic", Is: "false", Must: "true", Flag: "--allow-batch"},
			},
		},
		"asynchronous persistence": {
			func(c *jetstream.StreamConfig) {
				c.PersistMode, c.AllowAtomicPublish = jetstream.AsyncPersistMode, false
			},
			[]eventlog.UnsafeSetting{
				{Name: "persist_mode", Is: "async", Must: "default"},
				{Name: "allow_atomic", Is: "false", Must: "true", Flag: "--allow-batch"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc := eventstest.Connect(t, eventstest.Server(t))
			eventstest.Wait(t, "a connection", nc.IsConnected)
			config := jetstream.StreamConfig{
				Name: events.StreamName, Subjects: []string{"authdocs.>"}, Duplicates: 10 * time.Minute, AllowAtomicPublish: true,
				MaxMsgSize: eventlog.MaxMessage,
			}
			test.change(&config)
			if _, err := manager(t, nc).CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			_, err := eventlog.Open(t.Context(), nc, 1, eventstest.Logger())
			var unsafe *eventlog.UnsafeStreamError
			if !errors.As(err, &unsafe) {
				t.Fatalf("got %v, want an UnsafeStreamError", err)
			}
			if diff := cmp.Diff(test.want, unsafe.Settings); diff != "" {
				t.Errorf("other settings are named (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpen_RefusesSealedStreamAndTooFewReplicas(t *testing.T) {
	nc := eventstest.Connect(t, eventstest.Server(t))
	eventstest.Open(t, nc, 1)
	config := authdocs(t, nc).CachedInfo().Config
	config.Sealed = true
	if _, err := manager(t, nc).UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	_, err := eventlog.Open(t.Context(), nc, 3, eventstest.Logger())
	want := "open the log: stream AUTHDOCS is not safe to keep the log in:" +
		" discard is new and must be old; sealed is true and must be false; num_replicas is 1 and must be 3 or more;" +
		" to fix it: nats stream edit AUTHDOCS --discard=old --replicas=3" +
		" (sealed cannot be changed on a stream that is there: stop the workers, run nats stream backup AUTHDOCS DIR," +
		" check that the backup is complete, and only then remove the stream and run nats stream restore DIR --config FILE with the setting corrected in FILE)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func oneSetting(name, is, must, flag string) []eventlog.UnsafeSetting {
	return []eventlog.UnsafeSetting{{Name: name, Is: is, Must: must, Flag: flag}}
}

func TestOpen_FailsIfWaitingCannotHelp(t *testing.T) {
	t.Run("replicas without a cluster", func(t *testing.T) {
		nc := eventstest.Connect(t, eventstest.Server(t))
		if _, err := eventlog.Open(t.Context(), nc, 3, eventstest.Logger()); err == nil || errors.Is(err, workflow.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another stream has the subjects", func(t *testing.T) {
		nc := eventstest.Connect(t, eventstest.Server(t))
		eventstest.Wait(t, "a connection", nc.IsConnected)
		if _, err := manager(t, nc).CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"authdocs.v1.>"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := eventlog.Open(t.Context(), nc, 1, eventstest.Logger()); err == nil || errors.Is(err, workflow.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the connection is closed", func(t *testing.T) {
		nc := eventstest.Connect(t, eventstest.Server(t))
		nc.Close()
		if _, err := eventlog.Open(t.Context(), nc, 1, eventstest.Logger()); err == nil || errors.Is(err, workflow.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestOpen_WaitsForServerThatStartsLate(t *testing.T) {
	addr := freeAddr(t)
	nc, err := eventlog.Connect(t.Context(), eventlog.ConnectOptions{URL: "nats://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := eventlog.Open(ctx, nc, 1, eventstest.Logger()); !errors.Is(err, workflow.ErrUnavailable) {
		t.Fatalf("without a server: got %v, want ErrUnavailable", err)
	}

	opened := make(chan error, 1)
	go func() {
		_, err := eventlog.Open(t.Context(), nc, 1, eventstest.Logger())
		opened <- err
	}()
	eventstest.Server(t, eventstest.Listen(addr))
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

func TestLogNow_FollowsServerTime(t *testing.T) {
	log := eventstest.Log(t)
	before := log.Now()
	appendAll(t, log, 0, 1)
	var f fold
	follow(t, log, &f)
	eventstest.Wait(t, "the entry applied", func() bool { return f.sequence() == 1 })
	// The fold keeps milliseconds.
	if at, now := f.position.Time, log.Now(); at.Before(before.Truncate(time.Millisecond)) || now.Before(at) {
		t.Errorf("opened at %s, appended at %s, and now it is %s", before, at, now)
	}
}

func TestStats(t *testing.T) {
	broker := eventstest.Server(t)
	log := eventstest.Open(t, eventstest.Connect(t, broker), 1)
	before := log.Stats()
	if before.Last != 0 {
		t.Errorf("of an empty log: %+v", before)
	}
	appendAll(t, log, 0, 2)
	if _, err := log.Tail(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := log.Stats().Last; got != 2 {
		t.Errorf("the log ends at %d, want 2", got)
	}
	broker.Stop()
	if _, err := log.Tail(t.Context()); !errors.Is(err, workflow.ErrUnavailable) {
		t.Errorf("the end of a log that is away: got %v, want ErrUnavailable", err)
	}
	broker.Start()
	eventstest.Wait(t, "the connection found", func() bool {
		return log.Stats().Reconnects > before.Reconnects
	})
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
