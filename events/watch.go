package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// watchEvery is how often the stream is looked at while it is followed: what
// somebody does to it makes no sound.
const watchEvery = 2 * time.Second

// errReplaced means that the stream was removed and made anew.
var errReplaced = errors.New("the stream was made anew while it was followed")

// watch looks at the stream until ctx ends, and answers when it is not what
// it was: removed, made anew, or given settings that could lose events.
func (l *Log) watch(ctx context.Context, created time.Time) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil { // both may have come
			return nil
		}
		stream, err := l.stream(ctx)
		switch {
		case err == nil && !sameInstant(stream.CachedInfo().Created, created):
			return errReplaced
		case hopeless(err), errors.Is(err, jetstream.ErrStreamNotFound):
			return err
		}
	}
}

// begins fails where the log begins behind the entry after a sequence: what was
// between is gone, and cannot be passed over.
func begins(stream jetstream.Stream, after uint64) error {
	first := stream.CachedInfo().State.FirstSeq
	if first <= after+1 {
		return nil
	}
	return final{fmt.Errorf("%w: the log begins at entry %d, the database ends at %d, and the entries between were purged: start from a snapshot of the database that reaches to %d or further (countersign snapshot --list)",
		ErrGuard, first, after, first-1)}
}
