package recovery

import (
	"context"

	"countersign/db"
	"countersign/internal/session"
)

// Rebuild makes the database again, from the newest usable snapshot or with
// fromLog from the log alone. The new database replaces the old one at the end,
// which is kept at the path kept; kept is empty if there was none. to is the
// last entry applied. The session must be alone. With dryRun the new database is
// removed instead.
func Rebuild(ctx context.Context, s *session.Session, fromLog, dryRun bool) (kept string, to uint64, err error) {
	to, err = s.Log.Tail(ctx)
	if err != nil {
		return "", to, err
	}
	dir, remove, err := Scratch(s.Config.DataDir)
	if err != nil {
		return "", to, err
	}
	defer remove()
	store, err := fold(ctx, s, dir, to, fromLog)
	if err != nil {
		return "", to, err
	}
	if err := store.Close(); err != nil || dryRun {
		return "", to, err
	}
	kept, err = db.Swap(dir, s.Config.DataDir)
	return kept, to, err
}
