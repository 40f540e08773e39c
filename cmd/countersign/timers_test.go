package main

import (
	"net/http"
	"strings"
	"testing"

	"countersign/events"
	"countersign/workflow"
)

// TestServe_RemindsOfALetterThenExpiresIt runs a worker with short timers: the settings
// are on the log, the page behind the reminder's link says in the end that the letter
// has expired, even though links are valid for one second only, and cc is told.
func TestServe_RemindsOfALetterThenExpiresIt(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	settings := x.env(dir, "COUNTERSIGN_REMIND_AFTER=1s", "COUNTERSIGN_REMIND_EVERY=off", "COUNTERSIGN_EXPIRE_AFTER=15s",
		"COUNTERSIGN_NOTIFY_CC=failed", "COUNTERSIGN_LINK_LIFETIME=1s")
	w := start(t, settings)
	w.says("read to its end")
	out := x.must(dir, "rules", "show")
	for _, want := range []string{"in force\t1\n", "remind-after\t1s\n", "remind-every\toff\n", "expire-after\t15s\n", "fresh-for\t720h0m0s\n", "notify-cc\tfailed\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("rules show does not say %q:\n%s", want, out)
		}
	}
	x.say(events.Created("/test", "created", testAccount, testPX(0), workflow.Created{
		AddressSID: "AD00000000000000000000000000000001", Email: "signer@example.com", CCEmails: []string{"ops@example.com"},
		HostedNumberOrders: numbered("HR00000000000000000000000000000001"),
	}))
	x.statuses(dir, workflow.Signing, 1)
	out = x.must(dir, "documents", "show", string(testPX(0)))
	if !strings.Contains(out, "\nexpires ") {
		t.Errorf("documents show says nothing of the expiry:\n%s", out)
	}
	x.statuses(dir, workflow.Failed, 1)
	x.rest(dir)
	reminder := x.oneTo("signer@example.com", ".1.reminder.1@")
	x.oneTo("ops@example.com", ".1.failed.0@")
	page := x.follows(w, reminder).must(http.MethodGet, "", nil, http.StatusGone)
	if !strings.Contains(page, "This link has expired") {
		t.Errorf("the page of an expired letter says\n%s", page)
	}
	subjects := x.subjects()
	for _, what := range []string{"due.reminder-1.1", "due.expiry.1", "became.failed.1"} {
		if subject := string(testAccount) + "." + string(testPX(0)) + "." + what; subjects[subject] != 1 {
			t.Errorf("%s stands on the log %d times", subject, subjects[subject])
		}
	}
	if doc := x.document(dir, testPX(0)); doc.EndedBy != workflow.EndedExpired || doc.DateUpdated.Before(*doc.ExpiresAt) {
		t.Errorf("it is %s at %s: %s, and was to expire at %s", doc.Status, doc.DateUpdated, doc.Reason, doc.ExpiresAt)
	}
	x.must(dir, "verify")
}
