package db_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/db"
	"countersign/workflow"
)

func ad(n int) workflow.SID { return workflow.SID(fmt.Sprintf("AD%032x", n)) }

const other = workflow.SID("ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")

// order appends an event of an order beside the documents.
func (w *writer) order(n int, what string, b workflow.Body) *workflow.Entry {
	w.add("", fmt.Sprintf("%s._.order.%s.%s", account, hr(n), what), b)
	e := &w.entries[len(w.entries)-1]
	e.Account, e.Order = account, hr(n)
	return e
}

// address appends an event of an address.
func (w *writer) address(n int, what string, b workflow.Body) *workflow.Entry {
	w.add("", fmt.Sprintf("%s._.address.%s.%s", account, ad(n), what), b)
	e := &w.entries[len(w.entries)-1]
	e.Account, e.Address = account, ad(n)
	return e
}

func orderContent(n int) workflow.OrderCreated {
	return workflow.OrderCreated{OrderContent: workflow.OrderContent{
		PhoneNumber: fmt.Sprintf("+1415555%04d", n), CurrentCarrier: "Pacific Voice", FriendlyName: fmt.Sprint("desk ", n%2), UniqueName: fmt.Sprint("u", n),
		Email: "owner@example.com", CCEmails: []string{"ops@example.com"}, Capabilities: workflow.Capabilities{SMS: n != 4}, AddressSID: ad(1),
	}}
}

func addressContent(n int) workflow.AddressCreated {
	return workflow.AddressCreated{AddressContent: workflow.AddressContent{
		CustomerName: fmt.Sprint("Customer ", n), Street: "1 Market Street", StreetSecondary: "Suite 5", City: "San Francisco", Region: "CA",
		PostalCode: "94105", ISOCountry: "US", FriendlyName: fmt.Sprint("Office ", n%2), EmergencyEnabled: n == 3,
	}}
}

func TestStoreOrder_LivesByItsOwnEvents(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.order(1, "status", workflow.OrderStatusChanged{Order: hr(1), Status: workflow.OrderVerified})
	apply(t, s, w.entries...)
	if _, err := s.Order(t.Context(), account, hr(1)); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("of which only a status was reported: %v", err)
	}
	w.order(1, "created", orderContent(1))
	w.order(1, "updated", workflow.OrderUpdated{FriendlyName: new("Reception"), CCEmails: new([]string{})})
	again := w.order(1, "updated", workflow.OrderUpdated{FriendlyName: new("Reception"), CCEmails: new([]string{})})
	apply(t, s, w.entries...)
	want := orderContent(1).OrderContent
	want.FriendlyName, want.CCEmails = "Reception", nil
	got, err := s.Order(t.Context(), account, hr(1))
	if diff := cmp.Diff(want, got.OrderContent); diff != "" || err != nil || got.Status != workflow.OrderVerified {
		t.Errorf("%v, status %s:\n%s", err, got.Status, diff)
	}
	if r, err := s.ResultAt(t.Context(), again.Sequence); r != workflow.ResultUnchanged || err != nil {
		t.Errorf("the same values again: %s, %v", r, err)
	}
	if _, err := s.Order(t.Context(), other, hr(1)); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("for another account: %v", err)
	}
	before := len(w.entries)
	w.order(1, "deleted", workflow.OrderDeleted{})
	apply(t, s, w.entries[before:]...)
	if _, err := s.Order(t.Context(), account, hr(1)); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("a deleted one: %v", err)
	}
	if all := dump(t, s); strings.Contains(all, "owner@example.com") || strings.Contains(all, "+14155550001") {
		t.Errorf("personal data of a deleted order is left:\n%s", all)
	}
}

func TestStoreOrders_RefuseWhatCannotBe(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.order(1, "created", orderContent(1))
	w.address(1, "created", addressContent(1))
	w.order(2, "created", orderContent(2))
	w.order(2, "deleted", workflow.OrderDeleted{})
	w.address(2, "created", addressContent(2))
	w.address(2, "deleted", workflow.AddressDeleted{})
	refused := map[uint64]workflow.Code{}
	refuse := func(e *workflow.Entry, code workflow.Code) { refused[e.Sequence] = code }
	refuse(w.order(1, "created", orderContent(1)), workflow.CodeExists)
	refuse(w.order(2, "created", orderContent(2)), workflow.CodeDeleted)
	refuse(w.order(2, "status", workflow.OrderStatusChanged{Order: hr(2), Status: workflow.OrderFailed}), workflow.CodeDeleted)
	refuse(w.order(3, "updated", workflow.OrderUpdated{UniqueName: new("x")}), workflow.CodeOrderUnknown)
	refuse(w.order(3, "deleted", workflow.OrderDeleted{}), workflow.CodeOrderUnknown)
	refuse(w.address(1, "created", addressContent(1)), workflow.CodeExists)
	refuse(w.address(2, "created", addressContent(2)), workflow.CodeDeleted)
	refuse(w.address(2, "updated", workflow.AddressUpdated{City: new("x")}), workflow.CodeDeleted)
	refuse(w.address(3, "updated", workflow.AddressUpdated{City: new("x")}), workflow.CodeAddressUnknown)
	refuse(w.address(3, "deleted", workflow.AddressDeleted{}), workflow.CodeAddressUnknown)
	for _, e := range []*workflow.Entry{
		w.order(1, "updated", workflow.OrderUpdated{UniqueName: new("stolen")}), w.address(1, "updated", workflow.AddressUpdated{City: new("stolen")}),
		w.order(1, "deleted", workflow.OrderDeleted{}), w.address(1, "deleted", workflow.AddressDeleted{}),
	} {
		w.entries[e.Sequence-1].Account = other
		refuse(e, workflow.CodeAccount)
	}
	apply(t, s, w.entries...)
	for sequence, code := range refused {
		p, err := s.RefusalAt(t.Context(), sequence)
		if err != nil || p == nil || p.Code != code {
			t.Errorf("entry %d (%s): %+v, %v; want %s", sequence, w.entries[sequence-1].Subject, p, err, code)
		}
	}
	due, err := s.DueEvents(t.Context(), start.AddDate(1, 0, 0), start, 0, 1000)
	if err != nil || len(due) != len(refused) {
		t.Fatalf("%d pending events, %v; want %d refusals", len(due), err, len(refused))
	}
	for _, e := range due {
		account := w.entries[e.Answers-1].Account
		if want := fmt.Sprintf("%s%s._.refused.%d", workflow.SubjectPrefix, account, e.Answers); e.Subject() != want {
			t.Errorf("refused on %s, want %s", e.Subject(), want)
		}
	}
}

func TestStoreOrders_ListsByEachFilter(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	for n := range 8 {
		w.order(n, "created", orderContent(n))
	}
	w.order(2, "status", workflow.OrderStatusChanged{Order: hr(2), Status: workflow.OrderTesting})
	w.order(6, "status", workflow.OrderStatusChanged{Order: hr(6), Status: workflow.OrderTesting})
	w.order(3, "updated", workflow.OrderUpdated{IncomingPhoneNumberSID: new(workflow.SID("PN3"))})
	w.order(7, "deleted", workflow.OrderDeleted{})
	apply(t, s, w.entries...)
	for _, tt := range []struct {
		name string
		q    db.OrderQuery
		want string
	}{
		{"all", db.OrderQuery{}, "6 5 4 3 2 1 0"},
		{"first page", db.OrderQuery{Limit: 2}, "6 5"},
		{"the next one", db.OrderQuery{Limit: 2, After: hr(5)}, "4 3"},
		{"back", db.OrderQuery{Limit: 2, Before: hr(4)}, "6 5"},
		{"behind a deleted one", db.OrderQuery{Limit: 2, After: hr(7)}, "6 5"},
		{"status", db.OrderQuery{Status: workflow.OrderTesting}, "6 2"},
		{"status, behind one", db.OrderQuery{Status: workflow.OrderTesting, After: hr(6)}, "2"},
		{"number", db.OrderQuery{PhoneNumber: "+14155550004"}, "4"},
		{"unique name", db.OrderQuery{UniqueName: "u5"}, "5"},
		{"friendly name", db.OrderQuery{FriendlyName: "desk 1"}, "5 3 1"},
		{"friendly name and status", db.OrderQuery{FriendlyName: "desk 0", Status: workflow.OrderTesting}, "6 2"},
		{"hosted number", db.OrderQuery{IncomingSID: "PN3"}, "3"},
		{"for messages", db.OrderQuery{SMS: new(true)}, "6 5 3 2 1 0"},
		{"not for messages", db.OrderQuery{SMS: new(false)}, "4"},
		{"another account's", db.OrderQuery{Account: other}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.q.Account == "" {
				tt.q.Account = account
			}
			if tt.q.Limit == 0 {
				tt.q.Limit = 100
			}
			orders, err := s.Orders(t.Context(), tt.q)
			var got []string
			for _, o := range orders {
				got = append(got, string(o.SID[33:]))
			}
			if list := strings.Join(got, " "); list != tt.want || err != nil {
				t.Errorf("got %q, %v; want %q", list, err, tt.want)
			}
		})
	}
	if _, err := s.Orders(t.Context(), db.OrderQuery{Account: other, After: hr(3), Limit: 1}); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("behind another account's order: %v", err)
	}
}

func TestStoreAddresses_ListsByEachFilter(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	for n := range 5 {
		w.address(n, "created", addressContent(n))
	}
	w.address(2, "updated", workflow.AddressUpdated{ISOCountry: new("CA"), CustomerName: new("Customer 1")})
	w.address(4, "deleted", workflow.AddressDeleted{})
	apply(t, s, w.entries...)
	for _, tt := range []struct {
		name string
		q    db.AddressQuery
		want string
	}{
		{"all", db.AddressQuery{}, "3 2 1 0"},
		{"behind one", db.AddressQuery{After: ad(2)}, "1 0"},
		{"in front of one", db.AddressQuery{Before: ad(1), Limit: 1}, "2"},
		{"customer", db.AddressQuery{CustomerName: "Customer 1"}, "2 1"},
		{"customer and country", db.AddressQuery{CustomerName: "Customer 1", ISOCountry: "US"}, "1"},
		{"friendly name", db.AddressQuery{FriendlyName: "Office 1"}, "3 1"},
		{"for help", db.AddressQuery{Emergency: new(true)}, "3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.q.Account = account
			if tt.q.Limit == 0 {
				tt.q.Limit = 100
			}
			addresses, err := s.Addresses(t.Context(), tt.q)
			var got []string
			for _, a := range addresses {
				got = append(got, string(a.SID[33:]))
			}
			if list := strings.Join(got, " "); list != tt.want || err != nil {
				t.Errorf("got %q, %v; want %q", list, err, tt.want)
			}
		})
	}
	a, err := s.Address(t.Context(), account, ad(2))
	if err != nil || a.City != "San Francisco" || a.ISOCountry != "CA" || a.ServiceAddress().Street != "1 Market Street, Suite 5" {
		t.Errorf("read %+v, %v", a, err)
	}
	if _, err := s.Address(t.Context(), account, ad(4)); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("a deleted one: %v", err)
	}
}
