package relay

import (
	"countersign/workflow"
)

// sayFailedOrders logs which orders the order service could not register. The
// reasons are left out: they may hold anything, and are in the documents.
func (f Fold) sayFailedOrders(batch []workflow.Entry) {
	if f.Logger == nil || f.News == nil || !f.News() {
		return
	}
	for _, e := range batch {
		if b, ok := e.Body.(workflow.OrderStatusChanged); ok && (b.Status == workflow.OrderFailed || b.LetterTooOld) {
			f.Logger.Warn("the order service reports a failed order; for the reason see countersign documents show",
				"document", e.Document, "order", b.Order, "letter-too-old", b.LetterTooOld, "sequence", e.Sequence)
		}
	}
}
