package operator

import (
	"context"
	"fmt"
	"strings"

	"countersign/db"
	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/evidence"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/workflow"
)

// Evidence makes an archive of what is known of a document, as of one position on
// the log, and verifies it. which is the document's sid or the beginning of it;
// sign signs the manifest. If the object store has lost the letter, the archive
// is made without it, and that is noted. Evidence fails with workflow.ErrNotFound
// if the document has not been created, and with workflow.ErrUnavailable if no
// worker has announced its status yet.
func Evidence(ctx context.Context, s *session.Session, which string, sign func(content []byte) ([]byte, error)) (archive []byte, r evidence.Report, err error) {
	c, err := gather(ctx, s, which)
	if err != nil {
		return nil, r, err
	}
	if archive, err = evidence.Write(c, sign); err != nil {
		return nil, r, err
	}
	if r, err = evidence.Verify(archive); err != nil {
		return nil, r, fmt.Errorf("the archive was not written, because it would prove nothing: %w", err)
	}
	return archive, r, nil
}

// gather collects the content of an archive.
func gather(ctx context.Context, s *session.Session, which string) (c evidence.Content, err error) {
	dir, remove, err := recovery.Scratch(s.Config.DataDir)
	if err != nil {
		return c, err
	}
	defer remove()
	store, err := recovery.Current(ctx, s, dir)
	if err != nil {
		return c, err
	}
	defer store.Close()
	sid, err := store.FindSID(ctx, which)
	if err != nil {
		return c, err
	}
	at := store.Position()
	c.Document, c.Sequence, c.Time, c.Stream = sid, at.Sequence, at.Time, at.Stream
	if err := messages(ctx, s, &c); err != nil {
		return c, err
	}
	if c.Erased > 0 {
		return c, nil
	}
	life, err := store.Life(ctx, sid)
	if err != nil {
		return c, err
	}
	d := life.Document
	if d == nil {
		return c, fmt.Errorf("%w: document %s has not been created", workflow.ErrNotFound, sid)
	}
	for _, e := range life.Events {
		if e.State == db.EventPending && strings.HasPrefix(e.What, "became.") {
			return c, fmt.Errorf("%w: document %s became %s, and that is not on the log yet; run a worker and try again", workflow.ErrUnavailable, sid, d.Status)
		}
	}
	c.Account, c.Status, c.Life, c.Mails = d.AccountSID, d.Status, d, LifeOf(life).Mails
	if d.LetterKept {
		c.Letter, err = s.Log.Letter(ctx, eventlog.LetterName(d.SID, d.LetterDigest))
		if notFound(err) {
			s.Notes.Linef("countersign: %v; the archive is written without it", err)
			err = nil
		}
	}
	return c, err
}

// messages reads the entries about the document of c, up to the position of c.
func messages(ctx context.Context, s *session.Session, c *evidence.Content) error {
	subjects := eventlog.Range{Subject: events.Prefix + "*." + string(c.Document) + ".>"}
	return eventlog.Read(ctx, s.Conn, events.StreamName, subjects, func(m events.Message) error {
		if m.Sequence > c.Sequence {
			return nil
		}
		if e, ok := events.Decode(m).Body.(workflow.Erased); ok {
			c.Erased, c.Account, c.Status = m.Sequence, e.AccountSID, e.Status
		}
		c.Messages = append(c.Messages, m)
		return nil
	})
}
