package eventlog

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
)

// removeObject removes an object's chunks from its bucket's stream, and then
// the object. It does not fail if there is no such object. Deleting only the
// object would leave its bytes on the disk while newer chunks share the same
// file.
func removeObject(ctx context.Context, js jetstream.JetStream, in, name string) error {
	bucket, err := js.ObjectStore(ctx, in)
	if err == nil {
		err = overwrite(ctx, js, bucket, in, name)
	}
	if err == nil {
		err = bucket.Delete(ctx, name)
	}
	if errors.Is(err, jetstream.ErrObjectNotFound) || errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil
	}
	return err
}

func overwrite(ctx context.Context, js jetstream.JetStream, bucket jetstream.ObjectStore, in, name string) error {
	var info *jetstream.ObjectInfo
	err := withObject(ctx, js, in, name, func() (err error) {
		info, err = objectInfo(ctx, bucket, name)
		return err
	})
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, "OBJ_"+in)
	if err != nil {
		return err
	}
	return removeChunks(ctx, js, stream, chunksOf(in, info.NUID))
}

// chunksOf is the subject of an object's chunks (ADR-20).
func chunksOf(in, nuid string) string { return "$O." + in + ".C." + nuid }

func removeChunks(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, subject string) error {
	chunks := Range{Subject: subject, Bare: true}
	return read(ctx, js, stream.CachedInfo().Config.Name, chunks, func(m events.Message) error { return removeOne(ctx, stream, m.Sequence) })
}

// metaOf is the subject of the metadata of an object in a bucket (ADR-20).
func metaOf(in, name string) string {
	return "$O." + in + ".M." + base64.URLEncoding.EncodeToString([]byte(name))
}

// removeForeign removes messages that are not metadata from a subject of
// metadata. As on the log, anybody who may publish one event can have something
// stored there, which hides the metadata before it. Once it is removed, the
// metadata before it counts again.
func removeForeign(ctx context.Context, js jetstream.JetStream, in, subject string) error {
	stream, err := js.Stream(ctx, "OBJ_"+in)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	var foreign []uint64
	if err == nil {
		err = read(ctx, js, "OBJ_"+in, Range{Subject: subject}, func(m events.Message) error {
			var o jetstream.ObjectInfo
			if json.Unmarshal(m.Data, &o) != nil || o.Bucket != in || o.NUID == "" || metaOf(in, o.Name) != m.Subject {
				foreign = append(foreign, m.Sequence)
			}
			return nil
		})
	}
	for _, seq := range foreign {
		if err == nil {
			err = removeOne(ctx, stream, seq)
		}
	}
	if err != nil {
		return fmt.Errorf("remove foreign messages from bucket %s: %w", in, err)
	}
	return nil
}

// listObjects lists the objects of a bucket. It lists none if there is no
// bucket.
func listObjects(ctx context.Context, js jetstream.JetStream, in string) ([]*jetstream.ObjectInfo, error) {
	if err := removeForeign(ctx, js, in, "$O."+in+".M.>"); err != nil {
		return nil, err
	}
	bucket, err := js.ObjectStore(ctx, in)
	var list []*jetstream.ObjectInfo
	if err == nil {
		list, err = bucket.List(ctx)
	}
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	return list, err
}

// objectInfo reads the metadata of an object. It fails with
// jetstream.ErrBadObjectMeta if somebody else's message is in its place, which
// nats.go would return as an object without a name.
func objectInfo(ctx context.Context, bucket jetstream.ObjectStore, name string) (*jetstream.ObjectInfo, error) {
	info, err := bucket.GetInfo(ctx, name)
	if err == nil && info.NUID == "" {
		err = jetstream.ErrBadObjectMeta
	}
	return info, err
}

// withObject runs a function that needs the metadata of an object. If somebody
// else's message is in its place, it removes that and runs the function again.
func withObject(ctx context.Context, js jetstream.JetStream, in, name string, run func() error) error {
	err := run()
	if errors.Is(err, jetstream.ErrBadObjectMeta) {
		if err = removeForeign(ctx, js, in, metaOf(in, name)); err == nil {
			err = run()
		}
	}
	return err
}

// uploadWait is longer than any upload takes.
var uploadWait = time.Hour

// sweep removes the chunks in a bucket that belong to no object: an upload that
// broke off leaves them.
func sweep(ctx context.Context, js jetstream.JetStream, in string) error {
	stream, err := js.Stream(ctx, "OBJ_"+in)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	var info *jetstream.StreamInfo
	if err == nil {
		// List the chunks first, so that an object whose upload ends meanwhile
		// is in the list of objects.
		info, err = stream.Info(ctx, jetstream.WithSubjectFilter(chunksOf(in, ">")))
	}
	if err != nil {
		return fmt.Errorf("look for remains of uploads in bucket %s: %w", in, err)
	}
	objects, err := listObjects(ctx, js, in)
	if err != nil {
		return fmt.Errorf("list bucket %s: %w", in, err)
	}
	left := info.State.Subjects
	for _, o := range objects {
		delete(left, chunksOf(in, o.NUID))
	}
	for subject := range left {
		last, err := stream.GetLastMsgForSubject(ctx, subject)
		if err == nil && info.TimeStamp.Sub(last.Time) > uploadWait {
			err = removeChunks(ctx, js, stream, subject)
		}
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return fmt.Errorf("remove remains of uploads from bucket %s: %w", in, err)
		}
	}
	return nil
}
