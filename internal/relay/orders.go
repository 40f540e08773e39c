package relay

import (
	"countersign/workflow"
)

// sayFailedOrders says which orders the order service could not register. Its
// reasons are in the documents: they may hold anything.
func (f Fold) sayFailedOrders(batch []workflow.Entry) {
	if f.Logger == nil || f.News == nil || !f.News() {
		return
	}
	for _, e := range batch {
		if b, ok := e.Body.(workflow.OrderStatusChanged); ok && (b.Status == workflow.OrderFailed || b.LetterTooOld) {
			f.Logger.Warn("the order service says that an order failed; its reason is in countersign documents show",
				"document", e.Document, "order", b.Order, "letter-too-old", b.LetterTooOld, "sequence", e.Sequence)
		}
	}
}
