package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"countersign/workflow"
)

// plain is what encoding/json writes of a body, without escapes for HTML.
func plain(t *testing.T, body any) string {
	t.Helper()
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func checkEncoded(t *testing.T, body any) {
	t.Helper()
	got, err := encoded(body)
	if want := plain(t, body); err != nil || string(got) != want {
		t.Errorf("got %s (%v)\nwant %s", got, err, want)
	}
}

// hostile has the text in each field of a list of documents.
func hostile(text string, page int, at time.Time) documentList {
	d := document{
		AddressSID: workflow.SID(text), CCEmails: []string{text, "", text}, DateCreated: date(at), DateUpdated: date(at.Add(time.Hour)),
		Email: text, Links: links{text}, SID: workflow.SID(text), Status: workflow.Status(text), URL: text,
	}
	none := d
	none.CCEmails = addresses(nil)
	return documentList{
		Meta:  meta{FirstPageURL: text, Key: text, NextPageURL: &text, Page: page, PageSize: -page, URL: text},
		Items: []document{d, none},
	}
}

// TestEncoded_WritesWhatEncodingJSONDoes compares the bytes.
func TestEncoded_WritesWhatEncodingJSONDoes(t *testing.T) {
	at := time.Date(2026, 11, 30, 23, 59, 59, 999, time.FixedZone("", 3600))
	for _, text := range []string{"", "a@example.com", `"\/`, "<&>", "\x00\n\x7f", "ñ\u2028😀", "\xff", "}],\"meta\":{"} {
		l := hostile(text, 7, at)
		checkEncoded(t, l)
		checkEncoded(t, l.Items[0])
		l.Meta.NextPageURL, l.Meta.PreviousPageURL, l.Items = nil, &text, []document{}
		checkEncoded(t, l)
	}
}

// FuzzEncoded compares the bytes for any text.
func FuzzEncoded(f *testing.F) {
	f.Add("owner@example.com", 1, int64(1796000000))
	f.Add("\"\\\x00\xff\u2028<", -1, int64(0))
	f.Fuzz(func(t *testing.T, text string, page int, at int64) {
		checkEncoded(t, hostile(text, page, time.Unix(at%(1<<37), 0)))
	})
}
