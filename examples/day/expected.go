package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// mails counts mails by kind and by recipient, in lower case.
type mails map[string]map[string]int

func (m mails) add(kind, to string) {
	if m[kind] == nil {
		m[kind] = map[string]int{}
	}
	m[kind][strings.ToLower(to)]++
}

// expectation is how one document has to end.
type expectation struct {
	Status   string            `json:"status"`
	Round    int               `json:"round"`
	Became   []string          `json:"became"`   // what follows "became." in its subjects, in order
	Register int               `json:"register"` // register events, one an order
	Orders   map[string]string `json:"orders"`   // status by sid
	Mails    mails             `json:"mails"`    // that the mail server takes
	Rejected mails             `json:"rejected,omitempty"`
}

// move brings the document to a status of its present round.
func (e *expectation) move(status string, round int) {
	e.Status, e.Round = status, round
	e.Became = append(e.Became, fmt.Sprintf("%s.%d", status, round))
}

// orders moves every order whose status is one of from, or all orders if from is empty.
func (e *expectation) orders(to string, from ...string) {
	for sid, status := range e.Orders {
		if len(from) == 0 || slices.Contains(from, status) {
			e.Orders[sid] = to
		}
	}
}

// totals sums the day up.
type totals struct {
	Lines      int            `json:"lines"`
	Duplicates int            `json:"duplicates"` // lines that repeat one before them
	Documents  map[string]int `json:"documents"`  // by status
	Became     int            `json:"became"`
	Register   int            `json:"register"`
	Mails      map[string]int `json:"mails"`        // that the mail server takes, by kind
	Rejected   int            `json:"rejected"`     // mails that it refuses for good
	Refused    int            `json:"refused"`      // events that cannot apply
	Dead       int            `json:"dead_letters"` // events that are none
}

// ending is the whole of day.expected.json.
type ending struct {
	Totals    totals                  `json:"totals"`
	Documents map[string]*expectation `json:"documents"` // by sid
}

// end sums up what the scenes left behind.
func (d *day) end() ending {
	t := totals{
		Lines: len(d.lines), Duplicates: d.duplicates, Refused: d.refused, Dead: d.dead,
		Documents: map[string]int{}, Mails: map[string]int{},
	}
	for _, e := range d.documents {
		t.Documents[e.Status]++
		t.Became += len(e.Became)
		t.Register += e.Register
		for kind, to := range e.Mails {
			t.Mails[kind] += sum(to)
		}
		for _, to := range e.Rejected {
			t.Rejected += sum(to)
		}
	}
	return ending{Totals: t, Documents: d.documents}
}

func sum(counts map[string]int) (n int) {
	for c := range maps.Values(counts) {
		n += c
	}
	return n
}
