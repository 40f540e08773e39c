package db_test

import (
	"testing"

	"countersign/workflow"
)

// TestStoreDocumentChanged_WakesForItsDocumentAlone waits for two documents.
func TestStoreDocumentChanged_WakesForItsDocumentAlone(t *testing.T) {
	s := open(t, t.TempDir())
	w := &writer{}
	w.created(1)
	w.created(2)
	w.mails(workflow.Accepted, mailID(1, 1, workflow.MailSignature, 0))
	w.add("", "_.mail.claimed", workflow.Claimed{Worker: "another"})
	w.add(px(2), string(account)+"."+string(px(2))+".erased", workflow.Erased{DocumentSID: px(2), AccountSID: account, Status: workflow.Opened, Round: 1})
	closed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	for i, want := range []struct {
		what         string
		first, other bool
	}{
		{"the first document is created", true, false},
		{"the other one is created", false, true},
		{"its email is claimed", false, false},
		{"the first one's email is accepted", true, false},
		{"a worker claims", false, false},
		{"the other one is erased", false, true},
	} {
		first, forgetFirst := s.DocumentChanged(px(1))
		again, forgetAgain := s.DocumentChanged(px(1))
		other, forgetOther := s.DocumentChanged(px(2))
		apply(t, s, w.entries[i])
		if closed(first) != want.first || closed(again) != want.first || closed(other) != want.other {
			t.Errorf("%s: woken %v, %v and %v, want %+v", want.what, closed(first), closed(again), closed(other), want)
		}
		forgetFirst()
		forgetAgain()
		forgetOther()
		if n := s.Watched(); n > 0 {
			t.Errorf("%s: %d documents are still waited for", want.what, n)
		}
	}
}
