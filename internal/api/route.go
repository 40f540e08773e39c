package api

import (
	"net/http"
	"slices"
	"strings"

	"countersign/workflow"
)

// generation is one of the generations of the API. Preview and v2 differ in paths,
// in which operations there are, and in the fields of orders. 2010 has addresses
// only.
type generation struct {
	name         string
	documents    string                 // path of the collection
	orders       string                 // path of the collection
	titled       bool                   // ContactTitle is required
	friendlyName int                    // characters of an order's FriendlyName
	statuses     []workflow.OrderStatus // that dependents are filtered by
	parameters   []parameter
}

var (
	preview = &generation{
		name: "preview", documents: "/HostedNumbers/AuthorizationDocuments", orders: "/HostedNumbers/HostedNumberOrders",
		titled: true, friendlyName: 64, statuses: workflow.OrderStatuses,
		parameters: slices.Concat(documentParameters, orderParameters, []parameter{
			{"data.extension", "Extension", codeExtension},
			{"data.call_delay", "CallDelay", codeRequest},
		}),
	}
	v2 = &generation{
		name: "v2", documents: "/v2/HostedNumber/AuthorizationDocuments", orders: "/v2/HostedNumber/Orders",
		friendlyName: 128,
		statuses: []workflow.OrderStatus{
			workflow.OrderReceived, workflow.OrderVerified, workflow.OrderPendingLOA, workflow.OrderCarrierProcessing,
			workflow.OrderCompleted, workflow.OrderFailed, workflow.OrderActionRequired,
		},
		parameters: slices.Concat(documentParameters, orderParameters, []parameter{
			{"data.extension", "VerificationCallExtension", codeExtension},
			{"data.call_delay", "VerificationCallDelay", codeRequest},
		}),
	}
	v2010 = &generation{name: "2010", parameters: addressParameters}
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
	path       string // {Sid} is the resource's sid, {AccountSid} the account's
	letters    string // begin the resource's sid
	operations []operation
}

const (
	dependents      = "/DependentHostedNumberOrders"
	addressesOf     = "/2010-04-01/Accounts/{AccountSid}/Addresses"
	sidLength       = 34
	accountSIDToken = "AccountSid"
)

var routes = slices.Concat(
	[]route{
		{preview, preview.documents + "/{Sid}", "PX", []operation{{"fetch", http.MethodGet, (*handler).fetch}, {"update", http.MethodPost, (*handler).update}}},
		{v2, v2.documents + "/{Sid}", "PX", []operation{{"fetch", http.MethodGet, (*handler).fetch}, {"delete", http.MethodDelete, (*handler).remove}}},
		{v2010, addressesOf + ".json", "", []operation{{"list-addresses", http.MethodGet, (*handler).listAddresses}, {"create-address", http.MethodPost, (*handler).createAddress}}},
		{v2010, addressesOf + "/{Sid}.json", "AD", []operation{
			{"fetch-address", http.MethodGet, (*handler).fetchAddress},
			{"update-address", http.MethodPost, (*handler).updateAddress},
			{"delete-address", http.MethodDelete, (*handler).removeAddress},
		}},
	},
	inBoth(preview), inBoth(v2),
)

// inBoth are the routes that preview and v2 both have.
func inBoth(g *generation) []route {
	return []route{
		{g, g.documents, "", []operation{{"list", http.MethodGet, (*handler).list}, {"create", http.MethodPost, (*handler).create}}},
		{g, g.documents + "/{Sid}" + dependents, "PX", []operation{{"dependents", http.MethodGet, (*handler).dependents}}},
		{g, g.orders, "", []operation{{"list-orders", http.MethodGet, (*handler).listOrders}, {"create-order", http.MethodPost, (*handler).createOrder}}},
		{g, g.orders + "/{Sid}", "HR", []operation{
			{"fetch-order", http.MethodGet, (*handler).fetchOrder},
			{"update-order", http.MethodPost, (*handler).updateOrder},
			{"delete-order", http.MethodDelete, (*handler).removeOrder},
		}},
	}
}

// find looks up the route of a path, and the account and the resource that the path
// names.
func find(path string) (r *route, account, sid workflow.SID) {
	for i := range routes {
		if account, sid, ok := routes[i].match(path); ok {
			return &routes[i], account, sid
		}
	}
	return nil, "", ""
}

// match reports whether the route has a path, and the sids in it.
func (r *route) match(path string) (account, sid workflow.SID, ok bool) {
	for pattern := r.path; ; {
		before, rest, named := strings.Cut(pattern, "{")
		if path, ok = strings.CutPrefix(path, before); !ok || !named {
			return account, sid, ok && path == ""
		}
		if len(path) < sidLength {
			return "", "", false
		}
		var name, letters, given string
		name, pattern, _ = strings.Cut(rest, "}")
		given, path = path[:sidLength], path[sidLength:]
		if letters = r.letters; name == accountSIDToken {
			letters, account = "AC", workflow.SID(given)
		} else {
			sid = workflow.SID(given)
		}
		if !isSID(given, letters) {
			return "", "", false
		}
	}
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
