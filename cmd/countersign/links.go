package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/ticket"
	"countersign/workflow"
)

// awhile is how long a link outlives the letter that expires: long enough for
// the letter's end to be on the log, so that the page can tell of it.
const awhile = 24 * time.Hour

// longestLink is how long a link can be good for by these settings. A document
// may have an expiry of its own that is later.
func longestLink(cfg config.Config) time.Duration {
	if cfg.ExpireAfter == 0 {
		return cfg.LinkLifetime
	}
	return max(cfg.LinkLifetime, cfg.ExpireAfter+cfg.MailGiveUpAfter+awhile)
}

// link makes the address at which a mail's document is signed, and says by when
// it asks to be. Both follow from the mail, so that one sent twice carries the
// same. The link is good for its lifetime, and longer where the letter is.
func (w *worker) link(m workflow.Mail) (url string, signBy time.Time) {
	expires := m.OwedAt.Add(w.cfg.LinkLifetime)
	signBy = expires
	if at, latest := w.expiry(m); !at.IsZero() {
		signBy = at
		if latest = latest.Add(awhile); latest.After(expires) {
			expires = latest
		}
	}
	return w.linkFor(ticket.Sign, "/sign/", m, expires), signBy
}

// download makes the address of a mail's signed letter, and says until when it
// is good.
func (w *worker) download(m workflow.Mail) (url string, until time.Time) {
	until = m.OwedAt.Add(w.cfg.LinkLifetime)
	return w.linkFor(ticket.Download, "/letter/", m, until), until
}

// linkFor makes a link of a purpose, to a path that its token ends.
func (w *worker) linkFor(purpose ticket.Purpose, path string, m workflow.Mail, expires time.Time) string {
	token, err := w.keys.Issue(ticket.Claims{Purpose: purpose, Document: m.Document, Round: m.Round, Expires: expires})
	if err != nil { // the sid was checked when its event was read
		w.logger.Error("no link could be made", "document", m.Document, "err", err)
	}
	return w.cfg.PublicURL + path + token
}

// expiry is when the letter of a mail expires, and at the latest; zero where it
// never does. Until the mail server has the first mail nobody knows exactly: the
// time runs from then on, and the server may defer it until we give up.
func (w *worker) expiry(m workflow.Mail) (at, latest time.Time) {
	switch {
	case m.About == nil:
		return at, latest
	case m.About.ExpiresAt != nil:
		return *m.About.ExpiresAt, *m.About.ExpiresAt
	}
	after := w.store.Position().Timers.With(m.About.Timers).ExpireAfter
	if after == 0 {
		return at, latest
	}
	at = m.OwedAt.Add(workflow.Seconds(after))
	return at, at.Add(w.cfg.MailGiveUpAfter)
}

// known is what the page and the REST API read documents of.
type known struct {
	*db.Store
	w *worker
}

// Document implements web.Documents and api.Documents. Where there is no such
// document this worker may not have met it yet: then it fails with
// workflow.ErrUnavailable.
func (k known) Document(ctx context.Context, sid workflow.SID) (workflow.Document, error) {
	d, err := k.Store.Document(ctx, sid)
	if errors.Is(err, workflow.ErrNotFound) && !k.w.upToDate() {
		err = fmt.Errorf("%w: document %s may stand on the log, which has not been followed to its end", workflow.ErrUnavailable, sid)
	}
	return d, err
}

// upToDate reports whether this worker has read the log to its end, and still
// hears of it.
func (w *worker) upToDate() bool { return w.hasCaughtUp() && w.nc.IsConnected() }

// hasCaughtUp reports whether this worker has read the log to its end since its
// start.
func (w *worker) hasCaughtUp() bool {
	select {
	case <-w.caught:
		return true
	default:
		return false
	}
}
