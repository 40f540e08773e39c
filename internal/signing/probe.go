package signing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"countersign/internal/eventlog"
	"countersign/workflow"
)

// Probe tells whether the signed letters are there, by one of them: it fails if the
// object store does not answer, or does not have a letter that was signed. It must
// not be called by two at once, and not before the log has been opened.
func (l *Letters) Probe(ctx context.Context) (err error) {
	log := l.log()
	err = log.ProbeLetters(ctx, l.probed)
	if l.probed == "" || errors.Is(err, workflow.ErrNotFound) { // its document may have been erased since
		if l.probed, err = l.someLetter(ctx); err == nil {
			err = log.ProbeLetters(ctx, l.probed)
		}
	}
	if errors.Is(err, workflow.ErrNotFound) {
		return fmt.Errorf("signed letters are gone: %w; restore the stream OBJ_%s from a backup", err, eventlog.LettersBucket)
	}
	return err
}

// sealed reports whether a letter was signed and sealed here.
func (l *Letters) sealed(ctx context.Context) (bool, error) {
	name, err := l.someLetter(ctx)
	return name != "", err
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
func (l *Letters) someLetter(ctx context.Context) (string, error) {
	k := &l.kept
	k.Lock()
	defer k.Unlock()
	if k.name != "" {
		doc, err := l.store.Document(ctx, k.sid)
		switch {
		case err == nil && doc.LetterKept:
			return k.name, nil
		case err != nil && !errors.Is(err, workflow.ErrNotFound):
			return "", err
		}
		k.name, k.next = "", time.Time{} // it was erased
	}
	if time.Now().Before(k.next) && time.Since(k.signing) > scanOnSigned {
		return "", nil
	}
	doc, err := l.store.KeptLetter(ctx)
	switch {
	case err == nil:
		k.sid, k.name = doc.SID, eventlog.LetterName(doc.SID, doc.LetterDigest)
		return k.name, nil
	case !errors.Is(err, workflow.ErrNotFound):
		return "", err
	}
	if l.caughtUp() { // else the log may bring some
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
