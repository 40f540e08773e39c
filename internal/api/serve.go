package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"

	"countersign/internal/httpd"
	"countersign/internal/ratelimit"
	"countersign/workflow"
)

// request is a request that is being answered.
type request struct {
	ctx       context.Context
	http      *http.Request
	writer    http.ResponseWriter
	id        string
	route     *route     // nil if no route has the path
	operation *operation // nil if the method is not the route's
	account   workflow.SID
	user      workflow.SID // the account, or its API key, that the request was authenticated with
	sid       workflow.SID // of the document, order or address that the path names
	params    *params      // of the query or, for a POST, of the form
	appended  uint64       // the sequence of the last event that the request appended
	sequence  uint64       // the answer reflects the log up to this entry; 0 before authentication
}

// answer is what a client gets.
type answer struct {
	status int
	body   any // nil for none
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := &request{ctx: r.Context(), http: r, writer: w, id: requestID(h.Random)}
	a, err := h.safely(req)
	if err != nil {
		f := h.fault(req, err)
		if f.retry > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.retry))
		}
		switch f.Status {
		case http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", `Basic realm="Countersign API", charset="UTF-8"`)
		case http.StatusMethodNotAllowed:
			w.Header().Set("Allow", req.route.allow())
		}
		a = answer{f.Status, f}
	}
	h.write(w, req, a)
}

// write sends the answer.
func (h *handler) write(w http.ResponseWriter, r *request, a answer) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set(headerRequestID, r.id)
	if r.sequence > 0 {
		header.Set(headerSequence, strconv.FormatUint(r.sequence, 10))
	}
	h.Metrics.answered(r, a.status)
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	body, err := encoded(a.body)
	if err != nil {
		h.Logger.ErrorContext(r.ctx, "an answer could not be encoded", "request", r.id, "err", err)
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // the client may have left
}

// safely answers, and turns a panic into an error.
func (h *handler) safely(r *request) (a answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			h.Logger.ErrorContext(r.ctx, "a request panicked", "request", r.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = newFault(http.StatusInternalServerError, codeInternal, "Internal error; please tell the operator the request id %s", r.id)
		}
	}()
	return h.answer(r)
}

// fault is what the client is told of an error. An error without a fault of its own
// counts as temporary.
func (h *handler) fault(r *request, err error) *fault {
	var f *fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, workflow.ErrNotFound):
		return notFound(r.http.URL.Path)
	case errors.Is(err, workflow.ErrUnavailable):
		h.Logger.WarnContext(r.ctx, "a request cannot be answered now; the client gets a 503", "request", r.id, "err", err)
		return unavailable("the log cannot be written to")
	case r.ctx.Err() == nil:
		h.Logger.ErrorContext(r.ctx, "a request failed", "request", r.id, "err", err)
	}
	return unavailable("request id " + r.id)
}

// answer does everything that comes before the operation of a request.
func (h *handler) answer(r *request) (answer, error) {
	address := h.address(r.http)
	if wait := h.addresses.Take(address, h.Now(), 0); wait > 0 {
		h.Metrics.limited.WithLabelValues("address").Inc()
		return answer{}, tooMany("from this address", ratelimit.Seconds(wait))
	}
	path := r.http.URL.Path
	var owner workflow.SID
	if r.route, owner, r.sid = find(path); r.route == nil {
		return answer{}, notFound(path)
	}
	if r.operation = r.route.operation(r.http.Method); r.operation == nil {
		return answer{}, newFault(http.StatusMethodNotAllowed, codeMethod, "Method not allowed: %s takes %s", path, r.route.allow())
	}
	if httpd.Foreign(r.http) { // a browser adds the credentials that it knows by itself
		return answer{}, newFault(http.StatusForbidden, codeForbidden, "Forbidden: a page of another website sent this request; nothing has changed. Call the API from a program, or from a page of its own host")
	}
	if err := h.authenticate(r, address); err != nil {
		return answer{}, err
	}
	if owner != "" && owner != r.account {
		return answer{}, notFound(path)
	}
	if wait := h.accounts.Take(string(r.account), h.Now(), 0); wait > 0 {
		h.Metrics.limited.WithLabelValues("account").Inc()
		return answer{}, tooMany("of this account", ratelimit.Seconds(wait))
	}
	if err := h.catchUp(r); err != nil {
		return answer{}, err
	}
	leave, err := h.receive(r)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	return r.operation.do(h, r)
}

// receive reads the parameters from the query or, of a POST, from the form, once
// there is room for that; leave makes room for others.
func (h *handler) receive(r *request) (leave func(), err error) {
	if r.http.Method != http.MethodPost {
		r.params, err = parseParams(r.http.URL.RawQuery, "query")
		return func() {}, err
	}
	if err := checkType(r.http.Header); err != nil {
		return nil, err
	}
	leave, err = h.forms.Receive(r.writer, r.http, string(r.account))
	switch {
	case errors.Is(err, httpd.ErrFormTooLarge):
		return nil, newFault(http.StatusRequestEntityTooLarge, codeRequest, "The post body has more than %d bytes", maxBody)
	case errors.Is(err, httpd.ErrNoRoom), errors.Is(err, httpd.ErrFormTooSlow):
		return nil, unavailable(err.Error())
	case err != nil:
		return nil, bad(codeRequest, "The post body broke off")
	}
	body, err := io.ReadAll(r.http.Body)
	if err == nil {
		r.params, err = parseParams(string(body), "post body")
	}
	if err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// authenticate finds out whose request it is.
func (h *handler) authenticate(r *request, address string) error {
	user, secret, ok := r.http.BasicAuth()
	if !ok {
		f := newFault(http.StatusUnauthorized, codeAuth, "Authentication Error - No credentials provided")
		f.Detail = "Your AccountSid or AuthToken was incorrect."
		return f
	}
	account, err := h.Accounts.Authenticate(user, secret)
	switch {
	case err == nil:
		r.account, r.user = account, workflow.SID(user)
		return nil
	case !errors.Is(err, workflow.ErrNotFound):
		return fmt.Errorf("authenticate: %w", err)
	}
	h.Metrics.failures.Inc()
	if wait, ok := h.slow(r.ctx, address); !ok {
		h.Metrics.limited.WithLabelValues("failures").Inc()
		return tooMany("with wrong credentials from this address", ratelimit.Seconds(wait))
	}
	f := newFault(http.StatusUnauthorized, codeAuth, "Authenticate")
	f.Detail = "Your AccountSid or AuthToken was incorrect."
	return f
}

// catchUp waits until this worker's database has applied the log as far as the
// client has seen it.
func (h *handler) catchUp(r *request) error {
	r.sequence = h.Progress.Position().Sequence
	asked := r.http.Header.Values(headerMinSequence)
	if len(asked) == 0 {
		return nil
	}
	sequence, err := strconv.ParseUint(asked[0], 10, 64)
	if err != nil || len(asked) > 1 {
		return bad(codeRequest, "%s is not valid: it must be one sequence, as in %s", headerMinSequence, headerSequence)
	}
	ctx, cancel := context.WithTimeout(r.ctx, h.SequenceWait)
	defer cancel()
	if err := h.Progress.WaitApplied(ctx, sequence); err != nil {
		return unavailable(fmt.Sprintf("this worker has read the log up to %d and not yet up to %d", h.Progress.Position().Sequence, sequence))
	}
	r.sequence = h.Progress.Position().Sequence
	return nil
}
