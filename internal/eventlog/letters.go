package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/workflow"
)

// LettersBucket is the JetStream object store in which signed letters are kept,
// beside the log and with as many replicas.
const LettersBucket = "AUTHDOCS_LETTERS"

// letterWait bounds the time to store or read one letter, even if ctx allows
// more.
const letterWait = 10 * time.Second

// LetterName returns the name of a signed letter in the store: its document,
// and the hex digits of its digest.
func LetterName(document workflow.SID, digest string) string {
	return string(document) + "/" + digest[len("sha256:"):]
}

// PutLetter stores a letter, and returns once the store has all of it. Storing
// the same bytes under the same name again changes nothing. It fails with
// workflow.ErrUnavailable, or with another error if the store has settings that
// could lose letters.
func (l *Log) PutLetter(ctx context.Context, name string, letter []byte) error {
	ctx, cancel := context.WithTimeout(ctx, letterWait)
	defer cancel()
	store, err := l.letters(ctx)
	if err != nil {
		return fmt.Errorf("keep letter %s: %w", name, err)
	}
	err = withObject(ctx, l.broker.JS, LettersBucket, name, func() error {
		info, err := objectInfo(ctx, store, name)
		if err == nil && info.Size == uint64(len(letter)) || errors.Is(err, jetstream.ErrBadObjectMeta) {
			return err // the name holds the digest
		}
		_, err = store.PutBytes(ctx, name, letter)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep letter %s: %w: %w", name, workflow.ErrUnavailable, err)
	}
	return nil
}

// Letter reads a stored letter. It fails with workflow.ErrNotFound if there is
// none of that name, and otherwise with workflow.ErrUnavailable.
func (l *Log) Letter(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, letterWait)
	defer cancel()
	store, err := l.broker.JS.ObjectStore(ctx, LettersBucket)
	var letter []byte
	if err == nil {
		err = withObject(ctx, l.broker.JS, LettersBucket, name, func() (err error) {
			letter, err = store.GetBytes(ctx, name) // checks the bytes by the digest in the store
			return err
		})
	}
	switch {
	case err == nil:
		return letter, nil
	case errors.Is(err, jetstream.ErrObjectNotFound), errors.Is(err, jetstream.ErrBucketNotFound):
		return nil, fmt.Errorf("%w: letter %s", workflow.ErrNotFound, name)
	}
	return nil, fmt.Errorf("read letter %s: %w: %w", name, workflow.ErrUnavailable, err)
}

// RemoveLetters removes every letter of a document from the store, and has the
// server overwrite their bytes. It also removes what any upload that broke off
// more than an hour ago has left. If there is nothing to remove, that is no
// error.
func (l *Log) RemoveLetters(ctx context.Context, document workflow.SID) error {
	kept, err := listObjects(ctx, l.broker.JS, LettersBucket)
	if err != nil {
		return fmt.Errorf("list the letters of %s: %w", document, err)
	}
	for _, x := range kept {
		if !strings.HasPrefix(x.Name, string(document)+"/") {
			continue
		}
		if err := removeObject(ctx, l.broker.JS, LettersBucket, x.Name); err != nil {
			return fmt.Errorf("remove letter %s: %w", x.Name, err)
		}
	}
	return sweep(ctx, l.broker.JS, LettersBucket)
}

// letters looks up the store, or creates it if it is missing.
func (l *Log) letters(ctx context.Context) (jetstream.ObjectStore, error) {
	store, err := l.broker.JS.ObjectStore(ctx, LettersBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		// If several workers do so at once, they all create the same store.
		store, err = l.broker.JS.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: LettersBucket, Description: "Signed letters of authorization: their bytes",
			Storage: jetstream.FileStorage, Replicas: l.replicas,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("%w: open object store %s: %w", workflow.ErrUnavailable, LettersBucket, err)
	}
	status, err := store.Status(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: open object store %s: %w", workflow.ErrUnavailable, LettersBucket, err)
	case status.Storage() != jetstream.FileStorage, status.TTL() > 0, status.Sealed(), status.Replicas() < l.replicas:
		return nil, fmt.Errorf("object store %s is not safe to keep letters in: it must be on file, unsealed, without TTL, and with %d replicas or more", LettersBucket, l.replicas)
	}
	return store, nil
}
