package events

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/workflow"
)

// LastClaim returns the sequence of the last claim on the log, 0 before the
// first.
func (l *Log) LastClaim(ctx context.Context) (uint64, error) {
	m, err := l.lastOn(ctx, workflow.ClaimsSubject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read the last claim: %w", err)
	}
	return m.Sequence, nil
}
