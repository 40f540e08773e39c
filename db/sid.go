package db

import (
	"context"
	"fmt"
	"strings"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// sidLength is the length of a whole sid: its kind and 32 hex digits.
const sidLength = 34

// FindSID returns the sid of the one document, created or erased, whose sid
// begins with a prefix. A whole sid is returned as it is. FindSID fails with workflow.ErrNotFound if there
// is none, and with workflow.ErrConflict, naming some, if there are several.
func (s *Store) FindSID(ctx context.Context, prefix string) (workflow.SID, error) {
	if len(prefix) == sidLength {
		return workflow.SID(prefix), nil
	}
	found, err := s.rq.SIDsBetween(ctx, sqlc.SIDsBetweenParams{Low: prefix, High: prefix + "\x7f"})
	switch {
	case err != nil:
		return "", fmt.Errorf("look for documents whose sid begins with %s: %w", prefix, err)
	case len(found) == 0:
		return "", fmt.Errorf("%w: no document has a sid that begins with %s", workflow.ErrNotFound, prefix)
	case len(found) == 1:
		return found[0], nil
	}
	some := make([]string, len(found))
	for i, sid := range found {
		some[i] = string(sid)
	}
	return "", fmt.Errorf("%w: several documents have a sid that begins with %s, such as %s; give more of it", workflow.ErrConflict, prefix, strings.Join(some, ", "))
}
