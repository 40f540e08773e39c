package api

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/workflow"
)

// address is an address as the API of 2010 answers it. Countersign does not check
// whether there is such a place: validated and verified are false.
type address struct {
	AccountSID       workflow.SID `json:"account_sid"`
	City             *string      `json:"city"`
	CustomerName     *string      `json:"customer_name"`
	DateCreated      rfc2822      `json:"date_created"`
	DateUpdated      rfc2822      `json:"date_updated"`
	EmergencyEnabled bool         `json:"emergency_enabled"`
	FriendlyName     *string      `json:"friendly_name"`
	ISOCountry       *string      `json:"iso_country"`
	PostalCode       *string      `json:"postal_code"`
	Region           *string      `json:"region"`
	SID              workflow.SID `json:"sid"`
	Street           *string      `json:"street"`
	StreetSecondary  *string      `json:"street_secondary"`
	Validated        bool         `json:"validated"`
	Verified         bool         `json:"verified"`
	URI              string       `json:"uri"`
}

// rfc2822 is a date in the form of RFC 2822, section 3.3, in UTC.
type rfc2822 time.Time

// MarshalText implements encoding.TextMarshaler.
func (d rfc2822) MarshalText() ([]byte, error) {
	return time.Time(d).UTC().AppendFormat(nil, time.RFC1123Z), nil
}

// addressList is the body of a list of the API of 2010. Its URIs are paths: clients
// put their base URL in front.
type addressList struct {
	Addresses       []address `json:"addresses"`
	End             int       `json:"end"`
	FirstPageURI    string    `json:"first_page_uri"`
	NextPageURI     *string   `json:"next_page_uri"`
	Page            int       `json:"page"`
	PageSize        int       `json:"page_size"`
	PreviousPageURI *string   `json:"previous_page_uri"`
	Start           int       `json:"start"`
	URI             string    `json:"uri"`
}

// addressesPath is the path of an account's addresses, without its end.
func addressesPath(account workflow.SID) string {
	return strings.Replace(addressesOf, "{AccountSid}", string(account), 1)
}

func viewAddress(a workflow.Address) address {
	return address{
		AccountSID: a.AccountSID, City: orNull(a.City), CustomerName: orNull(a.CustomerName), DateCreated: rfc2822(a.DateCreated), DateUpdated: rfc2822(a.DateUpdated),
		EmergencyEnabled: a.EmergencyEnabled, FriendlyName: orNull(a.FriendlyName), ISOCountry: orNull(a.ISOCountry), PostalCode: orNull(a.PostalCode),
		Region: orNull(a.Region), SID: a.SID, Street: orNull(a.Street), StreetSecondary: orNull(a.StreetSecondary),
		URI: addressesPath(a.AccountSID) + "/" + string(a.SID) + ".json",
	}
}

func (h *handler) listAddresses(r *request) (answer, error) {
	filters, get := r.params.filters("CustomerName", "FriendlyName", "EmergencyEnabled", "IsoCountry")
	emergency := r.params.boolean("EmergencyEnabled", codeRequest)
	g := r.params.paging(addressesPath(r.account)+".json", "AD", filters)
	if err := r.params.err(); err != nil {
		return answer{}, err
	}
	read, err := h.Addresses.Addresses(r.ctx, db.AddressQuery{
		Account: r.account, CustomerName: get("CustomerName"), FriendlyName: get("FriendlyName"), ISOCountry: strings.ToUpper(get("IsoCountry")),
		Emergency: emergency, After: g.after, Before: g.before, Limit: g.size + 1,
	})
	if errors.Is(err, workflow.ErrNotFound) {
		return answer{}, errToken
	}
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, h.addressPage(g, read)}, nil
}

func (h *handler) addressPage(g paging, read []workflow.Address) addressList {
	items, next, previous := cut(g, read)
	uri := func(page int, token string) string { return strings.TrimPrefix(h.pageURL(g, page, token), h.PublicURL) }
	l := addressList{
		Addresses: make([]address, len(items)), FirstPageURI: uri(0, ""), Page: g.page, PageSize: g.size, URI: uri(g.page, g.token),
	}
	for i, a := range items {
		l.Addresses[i] = viewAddress(a)
	}
	if n := len(items); n > 0 {
		l.Start = min(g.page, maxCount/g.size) * g.size
		l.End = l.Start + n - 1
		if next {
			l.NextPageURI = new(uri(g.page+1, "PA"+string(items[n-1].SID)))
		}
		if previous {
			l.PreviousPageURI = new(uri(g.page-1, "PB"+string(items[0].SID)))
		}
	}
	return l
}

// maxCount bounds start and end, which follow from the client's own count of pages.
const maxCount = 1 << 31

func (h *handler) fetchAddress(r *request) (answer, error) {
	a, err := h.Addresses.Address(r.ctx, r.account, r.sid)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, viewAddress(a)}, nil
}

func (h *handler) createAddress(r *request) (answer, error) {
	b, err := r.params.addressCreated()
	if err != nil {
		return answer{}, err
	}
	sid, id, err := h.identity(r, "AD", b, func(sid workflow.SID) error {
		_, err := h.Addresses.Address(r.ctx, r.account, sid)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	if err := h.append(r, events.AddressCreated("", id, r.account, sid, b)); err != nil {
		return answer{}, err
	}
	a, err := h.Addresses.Address(r.ctx, r.account, sid)
	if err != nil {
		return answer{}, keyUsed(err)
	}
	return answer{http.StatusCreated, viewAddress(a)}, nil
}

func (h *handler) updateAddress(r *request) (answer, error) {
	if _, err := h.Addresses.Address(r.ctx, r.account, r.sid); err != nil {
		return answer{}, err
	}
	b, err := r.params.addressUpdated()
	if err != nil {
		return answer{}, err
	}
	if b != (workflow.AddressUpdated{}) {
		if err := h.append(r, events.AddressUpdated("", "update."+rand.Text(), r.account, r.sid, b)); err != nil {
			return answer{}, err
		}
	}
	return h.fetchAddress(r)
}

func (h *handler) removeAddress(r *request) (answer, error) {
	if _, err := h.Addresses.Address(r.ctx, r.account, r.sid); err != nil {
		return answer{}, err
	}
	err := h.append(r, events.AddressDeleted("", "delete."+rand.Text(), r.account, r.sid, workflow.AddressDeleted{Reason: "deleted through the API"}))
	return answer{status: http.StatusNoContent}, err
}

// addressCreated reads the form of a new address.
func (p *params) addressCreated() (workflow.AddressCreated, error) {
	for _, name := range []string{"CustomerName", "Street", "City", "Region", "PostalCode", "IsoCountry"} {
		p.required(name)
	}
	u, err := p.addressUpdated()
	if country := p.optional("IsoCountry"); country != nil {
		u.ISOCountry = new(strings.ToUpper(*country))
	}
	b := workflow.AddressCreated{AddressContent: u.Apply(workflow.AddressContent{AutoCorrect: true})}
	if err == nil && b.ISOCountry == "" {
		err = bad(codePlace, "IsoCountry is not valid: it is empty")
	}
	return b, err
}

// addressUpdated reads the form of a change. Only what is present changes. The
// country is fixed.
func (p *params) addressUpdated() (workflow.AddressUpdated, error) {
	b := workflow.AddressUpdated{
		CustomerName: p.filled("CustomerName"), Street: p.filled("Street"), StreetSecondary: p.optional("StreetSecondary"), City: p.filled("City"),
		Region: p.filled("Region"), PostalCode: p.filled("PostalCode"), FriendlyName: p.optional("FriendlyName"),
		EmergencyEnabled: p.boolean("EmergencyEnabled", codeRequest), AutoCorrect: p.boolean("AutoCorrectAddress", codeRequest),
	}
	return b, p.err()
}

// filled reads a part of an address that no address can lack.
func (p *params) filled(name string) *string {
	value := p.optional(name)
	if value != nil && strings.TrimSpace(*value) == "" {
		p.fail(bad(codePlace, "%s is not valid: it is empty", name))
	}
	return value
}
