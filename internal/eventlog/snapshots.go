package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/workflow"
)

// SnapshotsBucket is the object store that keeps snapshots of the database.
const SnapshotsBucket = "AUTHDOCS_SNAPSHOTS"

// Snapshot describes a snapshot. Put sets Name and Size.
type Snapshot struct {
	Name     string    `json:"name"`
	Size     uint64    `json:"bytes"`
	Taken    time.Time `json:"date_taken"` // by the server's clock
	Position Position  `json:"position"`   // the last entry in it
	Rules    int       `json:"rules"`      // version of the rules in force there
	Schema   int64     `json:"schema"`     // version of its tables
	SHA256   string    `json:"sha256"`     // of its bytes, in hex
	State    string    `json:"state"`      // SHA-256 of its canonical dump, in hex
	Worker   string    `json:"worker"`     // who took it, by name on the log; empty for a command
}

// Snapshots is the store of snapshots. Its methods may be called by several
// goroutines at once.
type Snapshots struct {
	js       jetstream.JetStream
	replicas int
}

// NewSnapshots makes a Snapshots without a request to the server. The first Put
// creates the bucket with this number of replicas.
func NewSnapshots(nc *nats.Conn, replicas int) (*Snapshots, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(answerWait))
	if err != nil {
		return nil, fmt.Errorf("open the snapshots: %w", err)
	}
	return &Snapshots{js, replicas}, nil
}

// List lists the snapshots, the one with the highest position first. It fails
// with workflow.ErrUnavailable if the server does not answer.
func (s *Snapshots) List(ctx context.Context) ([]Snapshot, error) {
	infos, err := listObjects(ctx, s.js, SnapshotsBucket)
	if err != nil {
		return nil, fmt.Errorf("list bucket %s: %w: %w", SnapshotsBucket, workflow.ErrUnavailable, err)
	}
	var list []Snapshot
	for _, i := range infos {
		list = append(list, snapshot(i))
	}
	slices.SortFunc(list, func(a, b Snapshot) int {
		return cmp.Or(cmp.Compare(b.Position.Sequence, a.Position.Sequence), b.Taken.Compare(a.Taken))
	})
	return list, nil
}

// Put stores the bytes of a snapshot under its position, and returns its
// description as List will show it. of must describe the bytes correctly. Put
// also removes what uploads that broke off more than an hour ago have left.
func (s *Snapshots) Put(ctx context.Context, of Snapshot, bytes io.Reader) (Snapshot, error) {
	bucket, err := s.js.ObjectStore(ctx, SnapshotsBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = s.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: SnapshotsBucket, Description: "copies of Countersign's database", Storage: jetstream.FileStorage, Replicas: s.replicas,
		})
	}
	if err != nil {
		return of, fmt.Errorf("open bucket %s: %w", SnapshotsBucket, err)
	}
	of.Name = fmt.Sprintf("%020d-%.12s", of.Position.Sequence, of.SHA256)
	info, err := bucket.Put(ctx, jetstream.ObjectMeta{Name: of.Name, Metadata: of.metadata()}, bytes)
	if err != nil {
		return of, fmt.Errorf("put %s into bucket %s: %w; is there room on the server's disk?", of.Name, SnapshotsBucket, err)
	}
	if err := sweep(ctx, s.js, SnapshotsBucket); err != nil {
		return of, err
	}
	return snapshot(info), nil
}

// Get writes the bytes of a snapshot to to. The caller must check their
// SHA-256.
func (s *Snapshots) Get(ctx context.Context, name string, to io.Writer) error {
	bucket, err := s.js.ObjectStore(ctx, SnapshotsBucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w: %w", SnapshotsBucket, workflow.ErrUnavailable, err)
	}
	object, err := bucket.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("get %s: %w", name, err)
	}
	_, err = io.Copy(to, object)
	if err = errors.Join(err, object.Close()); err != nil {
		return fmt.Errorf("get %s: %w", name, err)
	}
	return nil
}

// Delete deletes a snapshot, and has the server overwrite its bytes: they may
// hold documents that were erased since. It does not fail if there is no such
// snapshot.
func (s *Snapshots) Delete(ctx context.Context, name string) error {
	if err := removeObject(ctx, s.js, SnapshotsBucket, name); err != nil {
		return fmt.Errorf("delete snapshot %s: %w", name, err)
	}
	return nil
}

func (s Snapshot) metadata() map[string]string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return map[string]string{
		"sequence": strconv.FormatUint(s.Position.Sequence, 10), "entry_ns": number(s.Position.Time.UnixNano()),
		"event_id": s.Position.ID, "event_source": s.Position.Source, "stream_ns": number(s.Position.Stream.UnixNano()),
		"rules": strconv.Itoa(s.Rules), "schema": number(s.Schema), "sha256": s.SHA256, "state": s.State, "worker": s.Worker,
	}
}

// snapshot reads the description that metadata wrote. A field that cannot be
// read is zero; such a snapshot is refused later, because its hash does not
// match.
func snapshot(i *jetstream.ObjectInfo) Snapshot {
	m := i.Metadata
	number := func(name string) int64 {
		n, err := strconv.ParseInt(m[name], 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	instant := func(name string) time.Time { return time.Unix(0, number(name)).UTC() }
	return Snapshot{
		Name: i.Name, Size: i.Size, Taken: i.ModTime,
		Position: Position{
			Sequence: uint64(number("sequence")), Time: instant("entry_ns"), ID: m["event_id"], Source: m["event_source"], Stream: instant("stream_ns"),
		},
		Rules: int(number("rules")), Schema: number("schema"), SHA256: m["sha256"], State: m["state"], Worker: m["worker"],
	}
}
