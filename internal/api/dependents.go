package api

import (
	"net/http"
	"slices"

	"countersign/db"
	"countersign/workflow"
)

// dependents lists the orders of a document, in the document's order.
func (h *handler) dependents(r *request) (answer, error) {
	q, filters := r.orderFilter(r.route.generation.statuses)
	path := r.route.generation.documents + "/" + string(r.sid) + dependents
	g := r.params.paging(path, "HR", filters)
	if err := r.params.err(); err != nil {
		return answer{}, err
	}
	doc, err := h.own(r, r.sid)
	if err != nil {
		return answer{}, err
	}
	all, err := h.Orders.DependentOrders(r.ctx, doc)
	if err != nil {
		return answer{}, err
	}
	orders, err := g.orders(all, func(o workflow.HostedOrder) bool { return matches(q, o) })
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, listed(h, g, orders,
		func(o workflow.HostedOrder) workflow.SID { return o.SID },
		func(o workflow.HostedOrder) any { return r.route.generation.dependent(doc, o) })}, nil
}

// matches reports whether an order passes the filters of a list of dependents.
func matches(q db.OrderQuery, o workflow.HostedOrder) bool {
	return (q.Status == "" || o.Status == q.Status) && (q.PhoneNumber == "" || o.PhoneNumber == q.PhoneNumber) &&
		(q.IncomingSID == "" || o.IncomingPhoneNumberSID == q.IncomingSID) && (q.FriendlyName == "" || o.FriendlyName == q.FriendlyName) &&
		(q.UniqueName == "" || o.UniqueName == q.UniqueName)
}

// orders cuts the page out of a document's orders, with one order more if there is
// one.
func (g paging) orders(all []workflow.HostedOrder, wanted func(workflow.HostedOrder) bool) ([]workflow.HostedOrder, error) {
	from, to := 0, len(all)
	if anchor := g.after + g.before; anchor != "" {
		i := slices.IndexFunc(all, func(o workflow.HostedOrder) bool { return o.SID == anchor })
		switch {
		case i < 0:
			return nil, errToken
		case g.before != "":
			to = i
		default:
			from = i + 1
		}
	}
	var out []workflow.HostedOrder
	for _, o := range all[from:to] {
		if wanted(o) {
			out = append(out, o)
		}
	}
	if n := len(out); n > g.size+1 {
		if g.before != "" {
			return out[n-g.size-1:], nil
		}
		return out[:g.size+1], nil
	}
	return out, nil
}
