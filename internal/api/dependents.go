package api

import (
	"net/http"
	"slices"
	"unicode/utf8"

	"countersign/workflow"
)

const maxUniqueName = 128 // characters

// dependents lists the orders of a document, in the document's order.
func (h *handler) dependents(r *request) (answer, error) {
	wanted, filters := r.orderFilter()
	path := r.route.generation.documents + "/" + string(r.document) + dependents
	g := r.params.paging(path, "HR", filters)
	if err := r.params.err(); err != nil {
		return answer{}, err
	}
	doc, err := h.own(r, r.document)
	if err != nil {
		return answer{}, err
	}
	orders, err := g.orders(doc.Orders, wanted)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, listed(h, g, orders,
		func(o workflow.Order) workflow.SID { return o.SID },
		func(o workflow.Order) any { return r.route.generation.order(doc, o) })}, nil
}

// orderFilter reads the filters of a list of orders. No event holds the names of an
// order or the sid of its number: a filter by these matches no order.
func (r *request) orderFilter() (wanted func(workflow.Order) bool, filters []filter) {
	p, g := r.params, r.route.generation
	names := []string{"Status", "PhoneNumber", "IncomingPhoneNumberSid", "FriendlyName"}
	if g == preview {
		names = append(names, "UniqueName")
	}
	filters, get := p.filters(names...)
	status, number, incoming := workflow.OrderStatus(get("Status")), get("PhoneNumber"), get("IncomingPhoneNumberSid")
	friendly, unique := get("FriendlyName"), get("UniqueName")
	switch {
	case status != "" && !slices.Contains(g.statuses, status):
		p.fail(bad(codeOrderStatus, "Status is not valid: it is one of %q", g.statuses))
	case incoming != "" && !isSID(incoming, "PN"):
		p.fail(bad(codeRequest, "IncomingPhoneNumberSid is not valid: it is PN and 32 hex digits"))
	case utf8.RuneCountInString(friendly) > g.friendlyName:
		p.fail(bad(codeFriendly, "FriendlyName is not valid: it has more than %d characters", g.friendlyName))
	case utf8.RuneCountInString(unique) > maxUniqueName:
		p.fail(bad(codeUniqueName, "UniqueName is not valid: it has more than %d characters", maxUniqueName))
	}
	return func(o workflow.Order) bool {
		return (status == "" || o.Status == status) && (number == "" || o.PhoneNumber == number) &&
			incoming == "" && friendly == "" && unique == ""
	}, filters
}

// orders cuts the page out of a document's orders, with one order more if there is
// one.
func (g paging) orders(all []workflow.Order, wanted func(workflow.Order) bool) ([]workflow.Order, error) {
	from, to := 0, len(all)
	if anchor := g.after + g.before; anchor != "" {
		i := slices.IndexFunc(all, func(o workflow.Order) bool { return o.SID == anchor })
		switch {
		case i < 0:
			return nil, errToken
		case g.before != "":
			to = i
		default:
			from = i + 1
		}
	}
	var out []workflow.Order
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
