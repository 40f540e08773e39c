package api

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"countersign/events"
	"countersign/workflow"
)

// verification returns the event for the Status or the VerificationCode of an update,
// none if it has neither. What the event itself says of the order is taken out of
// the order's new content.
func (h *handler) verification(r *request, o workflow.HostedOrder, b *workflow.OrderUpdated) ([]events.Event, error) {
	p := r.params
	status, err := r.wantedStatus(o)
	if err != nil {
		return nil, err
	}
	var code string
	if r.route.generation == preview {
		code, _ = p.one("VerificationCode")
	}
	switch {
	case code != "":
		e := events.VerificationReported("", "code."+rand.Text(), r.account, r.sid, workflow.VerificationReported{Code: code})
		return []events.Event{e}, p.err()
	case status != workflow.OrderPendingVerification:
		return nil, p.err()
	}
	c := b.Apply(o.OrderContent)
	v := workflow.Verify{Method: cmp.Or(c.VerificationType, workflow.VerifyByCall), CallDelay: c.CallDelay, Extension: c.Extension}
	if v.Method == workflow.VerifyByCall {
		if v.Code, err = newCode(h.Random); err != nil {
			return nil, err
		}
	}
	b.VerificationType, b.CallDelay, b.Extension = nil, nil, nil
	return []events.Event{events.Verify("", "verify."+rand.Text(), r.account, r.sid, v)}, p.err()
}

// wantedStatus reads the Status of an update: the one that a client can set, or
// nothing if there is nothing to be done.
func (r *request) wantedStatus(o workflow.HostedOrder) (workflow.OrderStatus, error) {
	s, asked := r.params.one("Status")
	status := workflow.OrderStatus(s)
	switch {
	case !asked && r.route.generation == v2:
		r.params.missing("Status")
	case !asked:
	case !slices.Contains(workflow.OrderStatuses, status):
		r.params.fail(bad(codeOrderStatus, "Status is not valid: it is one of %q", workflow.OrderStatuses))
	case status == workflow.OrderPendingVerification:
		return status, r.params.err()
	case status == workflow.OrderPendingLOA && (o.Status == workflow.OrderVerified || o.Status == status):
		// Older clients ask for it. The order gets there when a document that lists it is sent.
	default:
		r.params.fail(bad(codeOrderMove, "Status cannot be set to %s: the order is %s, and a client can ask for pending-verification only", status, o.Status))
	}
	return "", r.params.err()
}

// newCode makes the code of a verification: six digits that nobody can predict.
func newCode(random io.Reader) (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("make a code: %w", err)
	}
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(b[:])%1_000_000), nil
}
