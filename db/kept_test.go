package db_test

import (
	"encoding/json"
	"errors"
	"testing"

	"countersign/workflow"
)

// TestStoreKeptLetter_GoesByTheField has a document whose evidence names a letter
// that nobody kept, and then two whose letters are kept.
func TestStoreKeptLetter_GoesByTheField(t *testing.T) {
	s, w := open(t, t.TempDir()), &writer{}
	sign := func(n int, what string, kept bool) {
		from := len(w.entries)
		w.created(n)
		w.mails(workflow.Accepted, mailID(n, 1, workflow.MailSignature, 0))
		e := w.add(px(n), string(account)+"."+string(px(n))+"."+what, workflow.StatusChanged{
			Status: workflow.Signed, LetterDigest: "sha256:1", LetterKept: kept, Evidence: json.RawMessage(`{"letter":"PX"}`),
		})
		apply(t, s, w.entries[from:]...)
		if d, err := s.Document(t.Context(), e.Document); err != nil || d.Status != workflow.Signed || d.LetterKept != kept {
			t.Fatalf("document %d is %s, its letter kept: %t, %v", n, d.Status, d.LetterKept, err)
		}
	}
	sign(1, "by.page.status", false)
	if d, err := s.KeptLetter(t.Context()); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("the letter of %s is kept, %v", d.SID, err)
	}
	sign(2, "by.page.status", true)
	sign(3, "by.page.status", true)
	if d, err := s.KeptLetter(t.Context()); err != nil || d.SID != px(2) {
		t.Errorf("the oldest letter that is kept is of %s, %v; want %s", d.SID, err, px(2))
	}
}
