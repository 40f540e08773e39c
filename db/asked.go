package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// Asked names an account and a mailbox, for the limits of how many emails of
// the account ask one person to sign. Accounts are counted apart, so that none
// can use up what another needs.
func Asked(account workflow.SID, email string) string { return string(account) + " " + mailbox(email) }

// mailbox is an email address as limits count it. Ways to write one mailbox
// count as one: case, what follows a plus sign (RFC 5233), and dots in the
// local part, which some providers ignore.
func mailbox(email string) string {
	email = strings.ToLower(email)
	at := strings.LastIndexByte(email, '@')
	if at < 0 {
		return email
	}
	local, _, _ := strings.Cut(email[:at], "+")
	return strings.ReplaceAll(local, ".", "") + email[at:]
}

// AskedBefore returns when the email was owed that is the n-th newest of those
// by which the account asked one person to sign after since: signature emails
// and reminders, sent or still to be sent. It is zero if there are fewer; n is
// at least 1.
func (s *Store) AskedBefore(ctx context.Context, account workflow.SID, email string, n int, since time.Time) (time.Time, error) {
	at, err := s.rq.AskedBefore(ctx, sqlc.AskedBeforeParams{Asked: Asked(account, email), SinceMS: ms(since), Skip: int64(n - 1)})
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("count the emails to one person: %w", err)
	}
	return fromMS(at), nil
}
