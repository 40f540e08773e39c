package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"countersign/db"
	"countersign/events/emailaddr"
	"countersign/workflow"
)

const (
	defaultPageSize = 50
	maxPageSize     = 1000
)

// filter is a parameter that chooses what is listed, as it goes into URLs.
type filter struct{ name, value string }

// paging is which page of a list is asked for. A page is identified by the sid
// of the item next to it, so it stays the same while items arrive. Page is only
// the client's own count.
type paging struct {
	path    string
	filters []filter
	size    int
	page    int
	token   string
	after   workflow.SID // the page behind this item, from "PA" and its sid
	before  workflow.SID // the page that ends in front of this item, from "PB" and its sid
}

// paging reads the page asked for; letters begin the sids of what is listed.
func (p *params) paging(path, letters string, filters []filter) paging {
	g := paging{path: path, filters: filters, size: defaultPageSize}
	if s, _ := p.one("PageSize"); s != "" {
		g.size = min(max(p.number("PageSize", s), 1), maxPageSize)
	}
	if s, _ := p.one("Page"); s != "" {
		g.page = max(p.number("Page", s), 0)
	}
	g.token, _ = p.one("PageToken")
	switch {
	case g.token == "" && g.page > 0:
		p.fail(bad(codeRequest, "PageToken is required for paging."))
	case g.token == "":
	case strings.HasPrefix(g.token, "PA") && isSID(g.token[2:], letters):
		g.after = workflow.SID(g.token[2:])
	case strings.HasPrefix(g.token, "PB") && isSID(g.token[2:], letters):
		g.before = workflow.SID(g.token[2:])
	default:
		p.fail(errToken)
	}
	return g
}

var errToken = bad(codeRequest, "PageToken is not valid; use the one in next_page_url")

// number reads a number; one that is too large counts as the largest.
func (p *params) number(name, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		p.fail(bad(codeRequest, "%s is not valid: it must be a number", name))
	}
	return n
}

// cut returns the page and reports whether there are items behind it and in front of
// it. items has one item more than the page if there are more.
func cut[T any](g paging, items []T) (page []T, next, previous bool) {
	more := len(items) > g.size
	switch {
	case g.before == "":
		return items[:min(len(items), g.size)], more, g.page > 0
	case more:
		items = items[len(items)-g.size:]
	}
	return items, true, more && g.page > 0
}

// meta has the paging of a list. All seven keys are always present: clients
// expect null, and fail if a key is missing.
type meta struct {
	FirstPageURL    string  `json:"first_page_url"`
	Key             string  `json:"key"`
	NextPageURL     *string `json:"next_page_url"`
	Page            int     `json:"page"`
	PageSize        int     `json:"page_size"`
	PreviousPageURL *string `json:"previous_page_url"`
	URL             string  `json:"url"`
}

// list is the body of a list.
type list[T any] struct {
	Meta  meta `json:"meta"`
	Items []T  `json:"items"`
}

// documentList is a list of documents.
type documentList list[document]

// listed makes the list of what was read; sid names an item.
func listed[T, V any](h *handler, g paging, read []T, sid func(T) workflow.SID, view func(T) V) list[V] {
	items, next, previous := cut(g, read)
	m := meta{FirstPageURL: h.pageURL(g, 0, ""), Key: "items", Page: g.page, PageSize: g.size, URL: h.pageURL(g, g.page, g.token)}
	if n := len(items); n > 0 {
		if next {
			m.NextPageURL = new(h.pageURL(g, g.page+1, "PA"+string(sid(items[n-1]))))
		}
		if previous {
			m.PreviousPageURL = new(h.pageURL(g, g.page-1, "PB"+string(sid(items[0]))))
		}
	}
	l := list[V]{m, make([]V, len(items))}
	for i, item := range items {
		l.Items[i] = view(item)
	}
	return l
}

// pageURL returns an absolute URL: clients request it unchanged.
func (h *handler) pageURL(g paging, page int, token string) string {
	var b strings.Builder
	b.WriteString(h.PublicURL + g.path + "?")
	for _, f := range g.filters {
		b.WriteString(f.name + "=" + url.QueryEscape(f.value) + "&")
	}
	fmt.Fprintf(&b, "PageSize=%d&Page=%d", g.size, page)
	if token != "" {
		b.WriteString("&PageToken=" + token)
	}
	return b.String()
}

// filters reads the filters; an empty one is ignored.
func (p *params) filters(names ...string) (filters []filter, get func(string) string) {
	values := make(map[string]string, len(names))
	for _, name := range names {
		if v, _ := p.one(name); v != "" {
			filters, values[name] = append(filters, filter{name, v}), v
		}
	}
	return filters, func(name string) string { return values[name] }
}

func (h *handler) list(r *request) (answer, error) {
	filters, get := r.params.filters("Status", "Email")
	status := workflow.Status(get("Status"))
	if status != "" && !slices.Contains(workflow.Statuses, status) {
		r.params.fail(bad(codeRequest, "Status is not valid: it is one of %q", workflow.Statuses))
	}
	g := r.params.paging(r.route.generation.documents, "PX", filters)
	if err := r.params.err(); err != nil {
		return answer{}, err
	}
	docs, err := h.Documents.Page(r.ctx, db.PageQuery{
		Account: r.account, Status: status, Email: stored(get("Email")), After: g.after, Before: g.before, Limit: g.size + 1,
	})
	if errors.Is(err, workflow.ErrNotFound) {
		return answer{}, errToken
	}
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, documentList(listed(h, g, docs,
		func(d db.Listed) workflow.SID { return d.SID },
		func(d db.Listed) document { return h.listed(r.route.generation, d) }))}, nil
}

// stored returns an email address in the spelling of documents. No document has
// an invalid address.
func stored(email string) string {
	if normal, ok := emailaddr.Normal(email); ok {
		return normal
	}
	return email
}
