package workflow

import (
	"strings"
	"time"
)

// The CloudEvents types of the events of an address.
const (
	TypeAddressCreated = "address.created"
	TypeAddressUpdated = "address.updated"
	TypeAddressDeleted = "address.deleted"
)

// AddressContent is what the events of an address say about it. It is the
// service address of letters whose documents name it, and CustomerName their
// subscriber, where a document does not say otherwise.
type AddressContent struct {
	CustomerName     string `json:"customer_name,omitempty"`        // the customer of the carrier, whose numbers they are
	Street           string `json:"street,omitempty"`               // with house
	StreetSecondary  string `json:"street_secondary,omitempty"`     // suite, floor
	City             string `json:"city,omitempty"`                 // city or town
	Region           string `json:"region,omitempty"`               // state, province or the like
	PostalCode       string `json:"postal_code,omitempty"`          // ZIP or postal code
	ISOCountry       string `json:"iso_country,omitempty"`          // ISO 3166-1 alpha-2: two capital letters
	FriendlyName     string `json:"friendly_name,omitempty"`        // a name for people
	EmergencyEnabled bool   `json:"emergency_enabled,omitempty"`    // it is where help is sent
	AutoCorrect      bool   `json:"auto_correct_address,omitempty"` // the account asked for its spelling to be corrected
}

// AddressCreated is a new address with its content. The subject names the
// address.
type AddressCreated struct{ AddressContent }

// AddressUpdated carries new values for the fields of an address that are
// present. "" clears a text.
type AddressUpdated struct {
	CustomerName     *string `json:"customer_name,omitempty"`        // the customer of the carrier, whose numbers they are
	Street           *string `json:"street,omitempty"`               // with house
	StreetSecondary  *string `json:"street_secondary,omitempty"`     // suite, floor
	City             *string `json:"city,omitempty"`                 // city or town
	Region           *string `json:"region,omitempty"`               // state, province or the like
	PostalCode       *string `json:"postal_code,omitempty"`          // ZIP or postal code
	ISOCountry       *string `json:"iso_country,omitempty"`          // ISO 3166-1 alpha-2: two capital letters
	FriendlyName     *string `json:"friendly_name,omitempty"`        // a name for people
	EmergencyEnabled *bool   `json:"emergency_enabled,omitempty"`    // it is where help is sent
	AutoCorrect      *bool   `json:"auto_correct_address,omitempty"` // the account asks for its spelling to be corrected
}

// AddressDeleted ends an address: nothing of it is kept but its sid, its account
// and that it was deleted. Documents that name it keep what they say of it.
type AddressDeleted struct {
	Reason string `json:"reason,omitempty"` // why, for whoever reads the log
}

// Address is an address at one moment.
type Address struct {
	SID        SID `json:"sid"`         // the address
	AccountSID SID `json:"account_sid"` // whose address it is
	AddressContent
	DateCreated time.Time `json:"date_created"`      // when the log took the created event
	DateUpdated time.Time `json:"date_updated"`      // when it last changed
	Deleted     bool      `json:"deleted,omitempty"` // it was deleted; all content is gone
}

// ServiceAddress returns the address as a letter has it.
func (c AddressContent) ServiceAddress() ServiceAddress {
	return ServiceAddress{
		Street: strings.Join(filled(c.Street, c.StreetSecondary), ", "), City: c.City, Region: c.Region,
		PostalCode: c.PostalCode, Country: c.ISOCountry,
	}
}

// Type implements Body.
func (AddressCreated) Type() string { return TypeAddressCreated }

// Type implements Body.
func (AddressUpdated) Type() string { return TypeAddressUpdated }

// Type implements Body.
func (AddressDeleted) Type() string { return TypeAddressDeleted }

// Apply returns the content with the values of an event that are present.
func (b AddressUpdated) Apply(c AddressContent) AddressContent {
	set(&c.CustomerName, b.CustomerName)
	set(&c.Street, b.Street)
	set(&c.StreetSecondary, b.StreetSecondary)
	set(&c.City, b.City)
	set(&c.Region, b.Region)
	set(&c.PostalCode, b.PostalCode)
	set(&c.ISOCountry, b.ISOCountry)
	set(&c.FriendlyName, b.FriendlyName)
	set(&c.EmergencyEnabled, b.EmergencyEnabled)
	set(&c.AutoCorrect, b.AutoCorrect)
	return c
}

// address returns the address that the entry's subject names, and why the entry
// cannot change it.
func (d *decider) address(e Entry) (Address, *Problem) {
	a, known := d.facts.Addresses[e.Address]
	switch {
	case !known:
		return a, problem(CodeAddressUnknown, "subject", "address %s is not created; send a created event first", e.Address)
	case a.AccountSID != e.Account:
		return a, problem(CodeAccount, "subject", "address %s is not account %s's", e.Address, e.Account)
	case a.Deleted:
		return a, problem(CodeDeleted, "subject", "address %s was deleted; nothing can be done with it any more", e.Address)
	}
	return a, nil
}

func (d *decider) createAddress(e Entry, b AddressCreated) *Problem {
	switch _, p := d.address(e); {
	case p == nil:
		return problem(CodeExists, "subject", "address %s was created before; send an updated event to change it", e.Address)
	case p.Code != CodeAddressUnknown:
		return p
	}
	d.out.Address = &Address{SID: e.Address, AccountSID: e.Account, AddressContent: b.AddressContent, DateCreated: d.now, DateUpdated: d.now}
	return nil
}

func (d *decider) updateAddress(e Entry, b AddressUpdated) *Problem {
	a, p := d.address(e)
	if p != nil {
		return p
	}
	next := b.Apply(a.AddressContent)
	if d.same = next == a.AddressContent; !d.same {
		a.AddressContent, a.DateUpdated = next, d.now
		d.out.Address = &a
	}
	return nil
}

// deleteAddress forgets an address's content.
func (d *decider) deleteAddress(e Entry, _ AddressDeleted) *Problem {
	a, p := d.address(e)
	if p == nil {
		d.out.Address = &Address{SID: a.SID, AccountSID: a.AccountSID, DateCreated: a.DateCreated, DateUpdated: d.now, Deleted: true}
	}
	return p
}
