package api

import (
	"net/http"
	"slices"
	"strings"

	"countersign/workflow"
)

// generation is one of the two generations of the API. They differ in paths,
// in which operations there are, and in the fields of orders.
type generation struct {
	name         string
	documents    string // path of the collection
	titled       bool   // ContactTitle is required
	friendlyName int    // characters of an order's FriendlyName
	statuses     []workflow.OrderStatus
}

var (
	preview = &generation{
		name: "preview", documents: "/HostedNumbers/AuthorizationDocuments",
		titled: true, friendlyName: 64, statuses: workflow.OrderStatuses,
	}
	v2 = &generation{
		name: "v2", documents: "/v2/HostedNumber/AuthorizationDocuments",
		friendlyName: 128,
		statuses: []workflow.OrderStatus{
			workflow.OrderReceived, workflow.OrderVerified, workflow.OrderPendingLOA, workflow.OrderCarrierProcessing,
			workflow.OrderCompleted, workflow.OrderFailed, workflow.OrderActionRequired,
		},
	}
)

// operation is what can be done at a path by a method.
type operation struct {
	name   string // for metrics
	method string
	do     func(*handler, *request) (answer, error)
}

// route is a path and its operations.
type route struct {
	generation *generation
	suffix     string // behind the generation's collection; {Sid} is a document's sid
	operations []operation
}

const dependents = "/DependentHostedNumberOrders"

var routes = []route{
	{preview, "", []operation{{"list", http.MethodGet, (*handler).list}, {"create", http.MethodPost, (*handler).create}}},
	{preview, "/{Sid}", []operation{{"fetch", http.MethodGet, (*handler).fetch}, {"update", http.MethodPost, (*handler).update}}},
	{preview, "/{Sid}" + dependents, []operation{{"dependents", http.MethodGet, (*handler).dependents}}},
	{v2, "", []operation{{"list", http.MethodGet, (*handler).list}, {"create", http.MethodPost, (*handler).create}}},
	{v2, "/{Sid}", []operation{{"fetch", http.MethodGet, (*handler).fetch}, {"delete", http.MethodDelete, (*handler).remove}}},
	{v2, "/{Sid}" + dependents, []operation{{"dependents", http.MethodGet, (*handler).dependents}}},
}

// find looks up the route of a path, and the document that the path names.
func find(path string) (*route, workflow.SID) {
	for i := range routes {
		r := &routes[i]
		rest, ok := strings.CutPrefix(path, r.generation.documents)
		if !ok {
			continue
		}
		if r.suffix == "" && rest == "" {
			return r, ""
		}
		before, after, named := strings.Cut(r.suffix, "{Sid}")
		if !named || !strings.HasPrefix(rest, before) || !strings.HasSuffix(rest, after) || len(rest) < len(before)+len(after) {
			continue
		}
		if sid := rest[len(before) : len(rest)-len(after)]; isSID(sid, "PX") {
			return r, workflow.SID(sid)
		}
	}
	return nil, ""
}

// operation looks up a method. A HEAD is a GET without its body (RFC 9110,
// section 9.3.2).
func (r *route) operation(method string) *operation {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	i := slices.IndexFunc(r.operations, func(o operation) bool { return o.method == method })
	if i < 0 {
		return nil
	}
	return &r.operations[i]
}

// allow lists the route's methods for the Allow header.
func (r *route) allow() string {
	var methods []string
	for _, o := range r.operations {
		methods = append(methods, o.method)
		if o.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	return strings.Join(methods, ", ")
}
