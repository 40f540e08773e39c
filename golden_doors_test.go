package countersign_test

import (
	"encoding/json"
	"fmt"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// doors has documents that the page, the REST API, an operator and an upstream
// service end, identities that two accounts share, and entries that somebody
// else has put on subjects of Countersign's own.
func (r *recorder) doors() {
	r.event(eventlog.RulesActivated("rules-1", r.now, workflow.RulesActivated{Version: 1, ParkingLimitSeconds: 3600}))
	const other = workflow.SID("ACffffffffffffffffffffffffffffffff")
	place := func(what string) string {
		return fmt.Sprintf("%s%s.%s.%s", events.Prefix, goldenAccount, goldenPX(1), what)
	}
	foreign := func(subject string) uint64 {
		return r.raw(subject, nil, fmt.Appendf(nil, `{"stream":"AUTHDOCS","seq":%d}`, len(r.log)))
	}
	foreign(workflow.ClaimsSubject)
	for n := 1; n <= 4; n++ {
		e := events.Created("", fmt.Sprint("create-", n), goldenAccount, goldenPX(n), r.content(n)).By(workflow.WriterAPI)
		e.Actor = "SK000000000000000000000000000000ab"
		r.event(e)
	}
	r.event(events.Created("/orders", "shared", goldenAccount, goldenPX(5), r.content(5)))
	r.event(events.Created("/orders", "shared", other, goldenPX(6), r.content(6)))
	for _, what := range []string{"became.signing.1", "became.signed.1", "order." + string(goldenHR(2)) + ".register", "refused.3", "due.expiry.1", "erased"} {
		foreign(place(what))
	}
	foreign(events.Prefix + "_.quarantined.5")
	r.settle()
	ask := func(n int, by workflow.Writer, s workflow.Status) {
		b := workflow.StatusChanged{Status: s, Evidence: json.RawMessage(`{"name":"Olivia Owner","ip":"192.0.2.1"}`), Round: 1}
		e := events.StatusChanged("/orders", fmt.Sprintf("ask.%d.%s", n, s), goldenAccount, goldenPX(n), b)
		if by != workflow.WriterUpstream {
			e = e.By(by)
		}
		r.event(e)
	}
	ask(1, workflow.WriterPage, workflow.Signed)
	ask(2, workflow.WriterAPI, workflow.Canceled)
	ask(3, workflow.WriterOperator, workflow.Canceled)
	ask(4, workflow.WriterUpstream, workflow.Signed)
	r.raw(place("status"), nil, []byte(`{"specversion":"1.0","id":"x","source":"/sign","type":"authorization_document.status_changed","data":{"status":"canceled"}}`))
	for n := range workflow.MaxParked + 2 {
		b := workflow.StatusChanged{Status: workflow.Signed}
		r.event(events.StatusChanged("/orders", fmt.Sprint("parked-", n), goldenAccount, goldenPX(9), b))
	}
	r.settle()
}
