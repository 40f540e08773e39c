package events

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/workflow"
)

// LastClaim returns the sequence of the last entry on the claims' subject, 0
// before the first. It may be somebody else's, and no claim: whoever compares
// sequences must know it all the same.
func (l *Log) LastClaim(ctx context.Context) (uint64, error) {
	stream, err := l.stream(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the last claim: %w", err)
	}
	m, err := lastOn(ctx, stream, workflow.ClaimsSubject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read the last claim: %w", err)
	}
	return m.Sequence, nil
}
