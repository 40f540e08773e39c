package workflow_test

import (
	"testing"

	"countersign/workflow"
)

// TestAsked_SourceIsNoPartOfTheSentence has upstream services choose a source
// that would go on as the sentence around it does.
func TestAsked_SourceIsNoPartOfTheSentence(t *testing.T) {
	for source, want := range map[string]string{
		"/loa-desk":                             "/loa-desk",
		"https://desk.example.com/loa?site=1#a": "https://desk.example.com/loa?site=1#a",
		"urn:uuid:1":                            "urn:uuid:1",
		"":                                      `""`,
		"/x on the signing page, visit 1; /y":   `"/x on the signing page, visit 1; /y"`,
		"/x,by(Countersign)":                    `"/x,by(Countersign)"`,
		"/x\u00a0or\u3000Countersign":           `"/x\u00a0or\u3000Countersign"`,
		`/x" and "/y`:                           `"/x\" and \"/y"`,
	} {
		asked := workflow.Asked{Writer: workflow.WriterUpstream, Source: source}
		if got := asked.String(); got != "the upstream service "+want {
			t.Errorf("%q: %s", source, got)
		}
	}
}

func TestDecide_OnlyThePageSaysHowADocumentEnded(t *testing.T) {
	for _, c := range []struct {
		subject string
		source  string
		want    workflow.Ending
	}{
		{"by.page.status", "/sign", workflow.EndedWrongPerson},
		{"by.api.status", "/api", ""},
		{"status", "/orders", ""},
	} {
		const document, account = workflow.SID("PX00000000000000000000000000000001"), workflow.SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
		say := func(s workflow.State, seq uint64, subject, source string, b workflow.Body) workflow.State {
			return workflow.Decide(s, workflow.Entry{
				Sequence: seq, Account: account, Document: document, ID: string(rune('a' + seq)), Source: source, Body: b,
				Subject: workflow.SubjectPrefix + string(account) + "." + string(document) + "." + subject,
			}, workflow.Facts{}).State
		}
		s := say(workflow.State{}, 1, "created", "/orders", workflow.Created{Email: "owner@example.com"})
		s = say(s, 2, c.subject, c.source, workflow.StatusChanged{Status: workflow.Canceled, EndedBy: workflow.EndedWrongPerson})
		if d := s.Document; d.Status != workflow.Canceled || d.EndedBy != c.want {
			t.Errorf("on %s the document is %s, ended by %q, want %q", c.subject, d.Status, d.EndedBy, c.want)
		}
	}
}

func TestDecide_OnlyThePageSaysThatALetterIsKept(t *testing.T) {
	for _, c := range []struct {
		subject, source, digest string
		want                    bool
	}{
		{"by.page.status", "/sign", "sha256:1", true},
		{"by.page.status", "/sign", "", false},
		{"by.api.status", "/api", "sha256:1", false},
		{"status", "/orders", "sha256:1", false},
		{"status", "/sign", "sha256:1", false},
	} {
		const document, account = workflow.SID("PX00000000000000000000000000000001"), workflow.SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
		say := func(s workflow.State, seq uint64, subject, source string, b workflow.Body) workflow.State {
			return workflow.Decide(s, workflow.Entry{
				Sequence: seq, Account: account, Document: document, ID: string(rune('a' + seq)), Source: source, Body: b,
				Subject: workflow.SubjectPrefix + string(account) + "." + string(document) + "." + subject,
			}, workflow.Facts{}).State
		}
		s := say(workflow.State{}, 1, "created", "/orders", workflow.Created{Email: "owner@example.com"})
		s.Document.Status = workflow.Signing
		s = say(s, 2, c.subject, c.source, workflow.StatusChanged{Status: workflow.Signed, LetterDigest: c.digest, LetterKept: true})
		if d := s.Document; d.Status != workflow.Signed || d.LetterKept != c.want {
			t.Errorf("on %s by %s with the digest %q the document is %s, its letter kept: %t, want %t", c.subject, c.source, c.digest, d.Status, d.LetterKept, c.want)
		}
	}
}
