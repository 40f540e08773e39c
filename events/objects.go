package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// removeObject removes an object's chunks from its bucket's stream, and then
// the object; one that is not there is no error. Deleting the object alone
// would leave its bytes on the disk for as long as newer chunks share their
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
	info, err := bucket.GetInfo(ctx, name)
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
	return read(ctx, js, stream.CachedInfo().Config.Name, chunks, func(m Message) error { return removeOne(ctx, stream, m.Sequence) })
}

// uploadWait is longer than any upload takes.
var uploadWait = time.Hour

// sweep removes the chunks in a bucket that belong to no object: an upload that
// was cut off leaves them, and nothing names them.
func sweep(ctx context.Context, js jetstream.JetStream, in string) error {
	stream, err := js.Stream(ctx, "OBJ_"+in)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	var info *jetstream.StreamInfo
	if err == nil {
		// First the chunks: whatever is an object by then is listed after.
		info, err = stream.Info(ctx, jetstream.WithSubjectFilter(chunksOf(in, ">")))
	}
	if err != nil {
		return fmt.Errorf("look for what is left over in bucket %s: %w", in, err)
	}
	bucket, err := js.ObjectStore(ctx, in)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", in, err)
	}
	objects, err := bucket.List(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
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
			return fmt.Errorf("remove what is left over in bucket %s: %w", in, err)
		}
	}
	return nil
}
