// Package signing is what a worker signs with: it writes the letters of documents,
// seals and keeps those that are signed, makes the links in emails, and has the keys
// for both.
package signing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/letter"
	"countersign/internal/loa"
	"countersign/internal/web"
	"countersign/workflow"
)

// Options say what letters are written of and with.
type Options struct {
	Config   config.Config
	Keys     *Keys
	Store    *db.Store
	Log      func() *eventlog.Log // nil until the log has been opened
	CaughtUp func() bool          // whether the database knows the log up to where it ended at the start
	Logger   *slog.Logger
}

// Letters writes the letters of documents; it signs letters, keeps those that were
// signed in the object store, and reads them back. It may be used by several
// goroutines. It is the web.Letters of a worker.
type Letters struct {
	provider  string
	authority string // URL of the time-stamp authority; empty for none
	keys      *Keys
	store     *db.Store
	log       func() *eventlog.Log
	caughtUp  func() bool
	logger    *slog.Logger

	desk   *semaphore.Weighted // one for each letter that is being written
	kept   keptOne
	probed string // name of the letter that Probe asked for last
}

// New makes Letters. It reads and writes nothing.
func New(o Options) *Letters {
	return &Letters{
		provider: Provider(o.Config), authority: o.Config.TSAURL, keys: o.Keys, store: o.Store, log: o.Log, caughtUp: o.CaughtUp,
		logger: o.Logger, desk: semaphore.NewWeighted(maxLetters),
	}
}

// content is the document's letter, unsigned.
func (l *Letters) content(doc workflow.Document, words loa.Words) letter.Content {
	return letter.Content{
		Words: words, Document: doc.SID, Created: doc.DateUpdated, Provider: l.provider,
		Subscriber: doc.Subscriber, Address: strings.Join(doc.ServiceAddress.Lines(), "\n"),
		Email: doc.Email, Title: doc.ContactTitle, Phone: doc.ContactPhoneNumber, Numbers: doc.Orders,
	}
}

// PDF implements web.Letters.
func (l *Letters) PDF(ctx context.Context, doc workflow.Document, words loa.Words) ([]byte, error) {
	if doc.Status != workflow.Signed {
		done, err := l.turn(ctx, doc.SID)
		if err != nil {
			return nil, err
		}
		defer done()
		return letter.Write(l.content(doc, words))
	}
	if !l.Kept(doc) {
		return nil, fmt.Errorf("%w: the letter of %s was not signed here", workflow.ErrNotFound, doc.SID)
	}
	pdf, err := l.Fetch(ctx, doc)
	if errors.Is(err, workflow.ErrNotFound) { // it was there: the fault is ours, not the visitor's
		err = fmt.Errorf("the signed letter of %s is gone from the object store: %w", doc.SID, workflow.ErrUnavailable)
	}
	return pdf, err
}

// Kept implements web.Letters.
func (l *Letters) Kept(doc workflow.Document) bool { return doc.LetterKept }

// Fetch reads a signed letter back. It fails with workflow.ErrNotFound if the object
// store does not have it, and if the letter is not the one that was signed.
func (l *Letters) Fetch(ctx context.Context, doc workflow.Document) ([]byte, error) {
	log := l.log()
	if log == nil {
		return nil, fmt.Errorf("%w: the log has not been opened yet", workflow.ErrUnavailable)
	}
	pdf, err := log.Letter(ctx, eventlog.LetterName(doc.SID, doc.LetterDigest))
	if err == nil && Digest(pdf) != doc.LetterDigest {
		err = fmt.Errorf("letter of %s: its bytes do not have the digest %s", doc.SID, doc.LetterDigest)
	}
	return pdf, err
}

// Sign implements web.Letters.
func (l *Letters) Sign(ctx context.Context, doc workflow.Document, s web.Signature) (digest, name string, err error) {
	log := l.log()
	if log == nil || l.keys.seal.Load() == nil {
		return "", "", fmt.Errorf("sign the letter of %s: %w: the log has not been read to its end yet", doc.SID, workflow.ErrUnavailable)
	}
	pdf, err := l.signed(ctx, doc, s)
	if err != nil {
		return "", "", err
	}
	if pdf, err = l.apply(ctx, doc.SID, pdf, s.At); err != nil {
		return "", "", err
	}
	digest = Digest(pdf)
	name = eventlog.LetterName(doc.SID, digest)
	err = log.PutLetter(ctx, name, pdf)
	l.kept.putLetter()
	return digest, name, err
}

// maxLetters is how many letters are written at once. One takes about 20 MiB,
// most of it for the fonts, and some 20 ms of a processor.
const maxLetters = 2

// deskWait is the longest time that a visitor waits until fewer letters are being
// written.
const deskWait = 5 * time.Second

// turn waits until fewer than maxLetters letters are being written; done lets
// the next one begin. It fails with workflow.ErrUnavailable after deskWait.
func (l *Letters) turn(ctx context.Context, sid workflow.SID) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, deskWait)
	defer cancel()
	if err := l.desk.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("write the letter of %s: %w: too many letters are being written; try again: %w", sid, workflow.ErrUnavailable, err)
	}
	return func() { l.desk.Release(1) }, nil
}

// signed writes the signed letter, without a seal.
func (l *Letters) signed(ctx context.Context, doc workflow.Document, s web.Signature) ([]byte, error) {
	done, err := l.turn(ctx, doc.SID)
	if err != nil {
		return nil, err
	}
	defer done()
	c := l.content(doc, s.Words)
	c.Signed = &letter.Signature{Name: s.Name, Title: s.Title, Drawn: s.Drawn, At: s.At, Zone: s.Zone}
	if c.Evidence, err = l.steps(ctx, doc, s); err != nil {
		return nil, err
	}
	return letter.Write(c)
}

// The time-stamp authority has this long for an answer to one question, and in
// all: the person who signs is waiting.
const (
	stampTry     = 2 * time.Second
	stampBetween = 300 * time.Millisecond
	stampWait    = 4 * time.Second
)

// apply seals a letter, with a time stamp if there is an authority. If the authority
// does not answer, the letter is sealed without a time stamp: the person has signed,
// and the seal says so.
func (l *Letters) apply(ctx context.Context, sid workflow.SID, pdf []byte, at time.Time) ([]byte, error) {
	seal := l.keys.seal.Load()
	if c := seal.Certificate; at.Before(c.NotBefore) || at.After(c.NotAfter) {
		l.logger.Error("a letter is sealed with a certificate that is not valid now", "document", sid, "from", c.NotBefore, "until", c.NotAfter)
	}
	if l.authority != "" {
		ctx, cancel := context.WithTimeout(ctx, stampWait)
		defer cancel()
		authority := letter.Authority{URL: l.authority, Try: stampTry, Between: stampBetween}
		sealed, err := seal.Apply(pdf, at, func(signature []byte) ([]byte, error) { return authority.Stamp(ctx, signature) })
		if !errors.Is(err, letter.ErrNotStamped) {
			return sealed, err
		}
		l.logger.Warn("a letter is sealed without a time stamp", "document", sid, "err", err)
	}
	return seal.Apply(pdf, at, nil)
}

// steps is what happened to the document, and the visit that signs it.
func (l *Letters) steps(ctx context.Context, doc workflow.Document, s web.Signature) ([]letter.Step, error) {
	history, err := l.store.History(ctx, doc.SID)
	if err != nil {
		return nil, err
	}
	kept := weighty(history, maxLines)
	var steps []letter.Step
	for _, h := range kept {
		step := letter.Step{At: h.Time, What: h.What, More: []string{fmt.Sprintf("log entry %d", h.Sequence)}}
		if h.Detail != "" {
			step.More = append(step.More, h.Detail)
		}
		steps = append(steps, step)
	}
	if left := len(history) - len(kept); left > 0 {
		steps = append(steps, letter.Step{At: s.At, What: fmt.Sprintf("%d more lines of the history are left out", left), More: []string{
			"left out first: events that changed nothing, then updates, order reports and emails sent again; the log has all of them",
		}})
	}
	return append(steps, letter.Step{At: s.At, What: "signed on the signing page", More: []string{
		"IP address " + s.Address, "user agent " + s.Agent,
		fmt.Sprintf("statements and consent of version %s, language %s, ticked", loa.Version, s.Words.Language),
		"digest of what was shown " + s.Shown,
	}}), nil
}

// maxLines is how many lines of a document's history its letter has: about 15
// pages. A document with 50 people in cc that was sent three times has fewer.
const maxLines = 250

// weighty returns at most most lines of a history. It leaves out the lines of the
// least weight first, the oldest before the others. Of the weightiest lines it keeps
// the first and the last: they tell how the letter came about, and how it reached the
// signer.
func weighty(history []db.HistoryLine, most int) []db.HistoryLine {
	kept := slices.Clone(history)
	for least := 2; least > 0; least-- {
		excess := len(kept) - most
		kept = slices.DeleteFunc(kept, func(h db.HistoryLine) bool {
			if excess <= 0 || weight(h.What) != least {
				return false
			}
			excess--
			return true
		})
	}
	if excess := len(kept) - most; excess > 0 {
		kept = slices.Delete(kept, most/2, most/2+excess)
	}
	return kept
}

// weight is 0 for what a letter must say of a document, and more for what
// matters less in it.
func weight(what string) int {
	switch what {
	case string(workflow.ResultRefused), string(workflow.ResultParked), workflow.TypeDiscarded:
		return 2 // it changed nothing
	case workflow.TypeUpdated, workflow.TypeOrderStatusChanged, workflow.TypeResend:
		return 1 // others can say it as often as they like
	}
	return 0
}

// Digest returns the digest of a letter as events have it: "sha256:" and the hex
// digits of the SHA-256 of its bytes.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
