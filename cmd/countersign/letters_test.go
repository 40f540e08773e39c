package main

import (
	"regexp"
	"strings"
	"testing"

	"countersign/events"
	"countersign/workflow"
)

// TestTheLetterByLink has the signed letter fetched by a link in the mails that
// say so; the person in cc never gets a link that signs.
func TestTheLetterByLink(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir, "COUNTERSIGN_LETTER_DELIVERY=link"))
	w.says("read to its end")
	x.say(events.Created("/test", "c", testAccount, testPX(1), workflow.Created{
		AddressSID: "AD00000000000000000000000000000001", Email: "olivia@example.com", CCEmails: []string{"ops@example.com"}, HostedNumberOrderSIDs: []workflow.SID{testHR(1)},
	}))
	s := x.signer(w.address("public"), testPX(1), 1)
	s.must("POST", "", s.form("sign"), 200)
	x.rest(dir)
	doc := x.document(dir, testPX(1))
	download := regexp.MustCompile(`https?://[^/\s]+(/letter/(\S+))`)
	told := 0
	for _, m := range x.box.Mails() {
		if m.To[0] == "ops@example.com" && strings.Contains(string(m.Raw), "/sign/") {
			t.Error("a person in cc has a link to sign")
		}
		link := download.FindStringSubmatch(m.Text)
		if !strings.Contains(m.MessageID, ".signed.") {
			if link != nil {
				t.Errorf("%s has a link to the letter", m.MessageID)
			}
			continue
		}
		if link == nil || len(attached(t, m)) != 0 {
			t.Fatalf("the mail to %s has no link to the letter, or has the letter:\n%s", m.To[0], m.Text)
		}
		told++
		get := func(path string) (int, string) { return get(t, "http://"+w.address("public")+path) }
		if code, body := get(link[1]); code != 200 || sha256Of([]byte(body)) != doc.LetterDigest {
			t.Errorf("the link brings %d and %d bytes", code, len(body))
		}
		if code, _ := get("/sign/" + link[2]); code != 404 {
			t.Errorf("the signing page takes it: %d", code)
		}
	}
	if told != 2 {
		t.Errorf("%d mails say that it is signed", told)
	}
	w.end()
	if strings.Contains(w.log.String(), "/letter/") {
		t.Error("a link is in the log")
	}
}
