package signing

import (
	"log/slog"
	"time"

	"countersign/internal/config"
	"countersign/internal/ticket"
	"countersign/workflow"
)

// afterExpiry is how long a link is still valid after its letter has expired: long
// enough for the letter's end to be on the log, so that the page can tell of it.
const afterExpiry = 24 * time.Hour

// LongestLink returns how long a link can be valid by these settings. A document
// may have an expiry of its own that is later.
func LongestLink(cfg config.Config) time.Duration {
	if cfg.ExpireAfter == 0 {
		return cfg.LinkLifetime
	}
	return max(cfg.LinkLifetime, cfg.ExpireAfter+cfg.MailGiveUpAfter+afterExpiry)
}

// Links makes the links in emails. They follow from the email, so that one that is
// sent twice carries the same.
type Links struct {
	Origin   string        // what the links begin with: the setting public-url
	Lifetime time.Duration // of a link, from when its email became due
	GiveUp   time.Duration // how long the mail server may defer an email
	Keys     *ticket.File
	Timers   func() workflow.Timers // in force
	Logger   *slog.Logger
}

// Sign returns the address at which an email's document is signed, and until when
// the signer is asked to sign. The link is valid for its lifetime, and longer if the
// letter is.
func (l *Links) Sign(m workflow.Mail) (url string, signBy time.Time) {
	expires := m.CausedAt.Add(l.Lifetime)
	signBy = expires
	if at, latest := l.expiry(m); !at.IsZero() {
		signBy = at
		if latest = latest.Add(afterExpiry); latest.After(expires) {
			expires = latest
		}
	}
	return l.issue(ticket.Sign, "/sign/", m, expires), signBy
}

// Download returns the address of an email's signed letter, and until when it is
// valid.
func (l *Links) Download(m workflow.Mail) (url string, until time.Time) {
	until = m.CausedAt.Add(l.Lifetime)
	return l.issue(ticket.Download, "/letter/", m, until), until
}

// issue makes a link for a purpose, to a path that its token ends.
func (l *Links) issue(purpose ticket.Purpose, path string, m workflow.Mail, expires time.Time) string {
	token, err := l.Keys.Issue(ticket.Claims{Purpose: purpose, Document: m.Document, Round: m.Round, Expires: expires})
	if err != nil { // the sid was checked when its event was read
		l.Logger.Error("no link could be made", "document", m.Document, "err", err)
	}
	return l.Origin + path + token
}

// expiry returns when the letter of an email expires, and when at the latest; zero
// if it never does. Until the mail server has the first email nobody knows exactly:
// the time runs from then on, and the server may defer it until we give up.
func (l *Links) expiry(m workflow.Mail) (at, latest time.Time) {
	switch {
	case m.About == nil:
		return at, latest
	case m.About.ExpiresAt != nil:
		return *m.About.ExpiresAt, *m.About.ExpiresAt
	}
	after := l.Timers().With(m.About.Timers).ExpireAfter
	if after == 0 {
		return at, latest
	}
	at = m.CausedAt.Add(workflow.Seconds(after))
	return at, at.Add(l.GiveUp)
}
