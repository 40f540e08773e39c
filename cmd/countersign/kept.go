package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"countersign/internal/eventlog"
	"countersign/workflow"
)

// letterStore tells whether the signed letters are there, by one of them.
type letterStore struct {
	*worker
	name string // of the letter
}

func (l *letterStore) check(ctx context.Context) (err error) {
	log := l.log.Load()
	if log == nil {
		return errNotOpened
	}
	err = log.ProbeLetters(ctx, l.name)
	if l.name == "" || errors.Is(err, workflow.ErrNotFound) { // its document may have been erased since
		if l.name, err = l.someLetter(ctx); err == nil {
			err = log.ProbeLetters(ctx, l.name)
		}
	}
	if errors.Is(err, workflow.ErrNotFound) {
		return fmt.Errorf("signed letters are gone: %w; restore the stream OBJ_%s from a backup", err, eventlog.LettersBucket)
	}
	return err
}

// keptOne is a signed letter that has to be in the object store.
type keptOne struct {
	sync.Mutex
	sid     workflow.SID
	name    string    // empty if none is known
	next    time.Time // when the database is looked through again if none is known
	signing time.Time // when one was put into the store last, which the database may not know yet
}

// A look through a large database takes a second.
const (
	scanAgain    = 10 * time.Minute
	scanOnSigned = time.Minute
)

// someLetter returns the name of a signed letter that has to be in the object
// store, the oldest, and "" if none is known.
func (w *worker) someLetter(ctx context.Context) (string, error) {
	k := &w.kept
	k.Lock()
	defer k.Unlock()
	if k.name != "" {
		doc, err := w.store.Document(ctx, k.sid)
		switch {
		case err == nil && keptLetter(doc):
			return k.name, nil
		case err != nil && !errors.Is(err, workflow.ErrNotFound):
			return "", err
		}
		k.name, k.next = "", time.Time{} // it was erased
	}
	if time.Now().Before(k.next) && time.Since(k.signing) > scanOnSigned {
		return "", nil
	}
	docs, err := w.store.WithLetters(ctx, 100)
	if err != nil {
		return "", err
	}
	for _, doc := range docs {
		if keptLetter(doc) {
			k.sid, k.name = doc.SID, eventlog.LetterName(doc.SID, doc.LetterDigest)
			return k.name, nil
		}
	}
	if w.hasCaughtUp() { // else the log may bring some
		k.next = time.Now().Add(scanAgain)
	}
	return "", nil
}

// putLetter notes that a letter was put into the object store.
func (k *keptOne) putLetter() {
	k.Lock()
	defer k.Unlock()
	k.signing = time.Now()
}
