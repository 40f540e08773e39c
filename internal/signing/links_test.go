package signing_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/signing"
	"countersign/internal/ticket"
	"countersign/workflow"
)

// TestLinks_SignIsValidAsLongAsTheLetter has letters that never expire, that expire
// by the settings before and after the link's lifetime, and that have an expiry of
// their own.
func TestLinks_SignIsValidAsLongAsTheLetter(t *testing.T) {
	const day, giveUp = 24 * time.Hour, 48 * time.Hour
	due := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	keys, err := ticket.Open(filepath.Join(t.TempDir(), "keys"), func() time.Time { return due }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		expireAfter     time.Duration // of the settings
		own             time.Duration // from due until the document's own expiry
		signBy, expires time.Duration // from due
	}{
		"never":                   {0, 0, 10 * day, 10 * day},
		"long before the link":    {3 * day, 0, 3 * day, 10 * day},
		"after the link":          {20 * day, 0, 20 * day, 20*day + giveUp + day},
		"by itself, after":        {3 * day, 30 * day, 30 * day, 31 * day},
		"by itself, a bit before": {0, 10*day - time.Hour, 10*day - time.Hour, 11*day - time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			links := &signing.Links{
				Origin: "https://sign.example.com", Lifetime: 10 * day, GiveUp: giveUp, Keys: keys, Logger: slog.New(slog.DiscardHandler),
				Timers: func() workflow.Timers { return workflow.Timers{ExpireAfter: int64(c.expireAfter / time.Second)} },
			}
			m := workflow.Mail{Document: "PX00000000000000000000000000000001", Round: 2, CausedAt: due, About: &workflow.Document{}}
			if c.own != 0 {
				m.About.ExpiresAt = new(due.Add(c.own))
			}
			url, signBy := links.Sign(m)
			if signBy != due.Add(c.signBy) {
				t.Errorf("asks to sign by %s, want %s", signBy, due.Add(c.signBy))
			}
			token, ok := strings.CutPrefix(url, "https://sign.example.com/sign/")
			if !ok {
				t.Fatalf("the link is %s", url)
			}
			claims, err := keys.Verify(token, ticket.Sign, due)
			if err != nil || claims.Document != m.Document || claims.Round != 2 || !claims.Expires.Equal(due.Add(c.expires)) {
				t.Errorf("the link is for %+v, %v; want it valid until %s", claims, err, due.Add(c.expires))
			}
			if again, _ := links.Sign(m); again != url {
				t.Errorf("the email that is sent twice has another link: %s, %s", url, again)
			}
		})
	}
}
