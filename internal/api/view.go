package api

import (
	"time"

	"countersign/db"
	"countersign/workflow"
)

// document is a document as both generations answer it: these nine keys.
type document struct {
	AddressSID  workflow.SID    `json:"address_sid"`
	CCEmails    []string        `json:"cc_emails"`
	DateCreated date            `json:"date_created"`
	DateUpdated date            `json:"date_updated"`
	Email       string          `json:"email"`
	Links       links           `json:"links"`
	SID         workflow.SID    `json:"sid"`
	Status      workflow.Status `json:"status"`
	URL         string          `json:"url"`
}

// links are the URLs of what belongs to a document.
type links struct {
	Dependents string `json:"dependent_hosted_number_orders"`
}

// date is written to the second, in UTC: clients in Python hand back a bare
// string for any other form, and those in Go fail the call.
type date time.Time

// MarshalText implements encoding.TextMarshaler.
func (d date) MarshalText() ([]byte, error) {
	return time.Time(d).UTC().AppendFormat(nil, dateLayout), nil
}

// dateLayout, in UTC, is 2006-01-02T15:04:05Z; package time has its own, fast way to
// write it.
const dateLayout = time.RFC3339

func (h *handler) document(g *generation, d workflow.Document) document {
	return h.listed(g, db.Listed{
		SID: d.SID, Status: d.Status, AddressSID: d.AddressSID, Email: d.Email, CCEmails: d.CCEmails,
		DateCreated: d.DateCreated, DateUpdated: d.DateUpdated,
	})
}

func (h *handler) listed(g *generation, d db.Listed) document {
	url := h.PublicURL + g.documents + "/" + string(d.SID)
	return document{
		AddressSID: d.AddressSID, CCEmails: addresses(d.CCEmails), DateCreated: date(d.DateCreated), DateUpdated: date(d.DateUpdated),
		Email: d.Email, Links: links{url + dependents},
		SID: d.SID, Status: d.Status, URL: url,
	}
}

func addresses(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// orNull is nil for nothing.
func orNull[T ~string](s T) *T {
	if s == "" {
		return nil
	}
	return &s
}
