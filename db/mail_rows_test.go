package db_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/workflow"
)

// TestStoreApply_MailRowsDoNotDependOnBatches folds emails that go every way, in
// one batch, which writes each email once as a new one, and entry by entry, which
// writes what each entry has changed.
func TestStoreApply_MailRowsDoNotDependOnBatches(t *testing.T) {
	w := &writer{}
	signature := func(n int) workflow.MailID { return mailID(n, 1, workflow.MailSignature, 0) }
	for n := range 4 {
		w.created(n)
	}
	w.add("", "_.mail.claimed", workflow.Claimed{Worker: "w", Mails: []workflow.MailID{signature(0), signature(1)}})
	w.mails(workflow.Deferred, signature(0)) // in doubt before
	w.mails(workflow.Unknown, signature(0))
	w.status(1, workflow.Canceled) // while it is claimed
	w.mails(workflow.Accepted, signature(2))
	w.status(2, workflow.Opened) // the next round, with a notice of this one pending
	w.mails(workflow.Deferred, signature(3))
	w.mails(workflow.Rejected, signature(3))

	whole, single := open(t, t.TempDir()), open(t, t.TempDir())
	apply(t, whole, w.entries...)
	for _, e := range w.entries {
		apply(t, single, e)
	}
	want := dump(t, whole)
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(dump(t, single), "\n")); diff != "" {
		t.Errorf("entry by entry (+), the state differs:\n%s", diff)
	}
}
