package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/eventlog"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// file writes a message to a file of its own.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "message.eml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func (x *town) unreadList(dir string) (list []eventlog.Unread) {
	x.t.Helper()
	out := json.NewDecoder(strings.NewReader(x.must(dir, "bounces", "unread", "--json")))
	for {
		var u eventlog.Unread
		if err := out.Decode(&u); err == io.EOF {
			return list
		} else if err != nil {
			x.t.Fatal(err)
		}
		list = append(list, u)
	}
}

// gauge reads one number of /metrics, "" if it is not there.
func (x *town) gauge(address, name string) string {
	x.t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// TestBounce_KeepsWhatItCannotRead hands in a message that nobody understands,
// twice, looks at it as an operator does, and discards it. It holds no address
// and no link.
func TestBounce_KeepsWhatItCannotRead(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	id := testPX(0) + ".1.signature.0"
	letter := file(t, "From: Postmaster <postmaster@mx.example.net>\r\nTo: loa@countersign.example\r\nSubject: About owner@example.com\r\n\r\n"+
		"We have \x1b[31mnews\x1b[0m of owner@example.com and https://sign.example.com/sign/c2VjcmV0.\r\nIt is about "+string(id)+".\r\n")
	before := x.subjects()
	for range 2 {
		if out := x.must(dir, "bounce", letter); !strings.Contains(out, "kept as an unread report") {
			t.Errorf("bounce says: %s", out)
		}
	}
	list := x.unreadList(dir)
	if len(list) != 1 || list[0].From != "mx.example.net" || len(list[0].Mails) != 1 || string(list[0].Mails[0]) != string(id) || list[0].Reason == "" {
		t.Fatalf("unread reports: %+v", list)
	}
	if after := x.subjects(); len(after) != len(before) {
		t.Error("the log has it")
	}
	all := x.must(dir, "bounces", "unread")
	show := x.must(dir, "bounces", "unread", "show", "1")
	for _, s := range []string{"We have", "news", string(id), "bounces unread discard 1", "About <…>"} {
		if !strings.Contains(show, s) {
			t.Errorf("show does not say %q:\n%s", s, show)
		}
	}
	if strings.ContainsAny(all+show, "@\x1b") || strings.Contains(show, "/sign/") {
		t.Errorf("an address, a link or an escape sequence is shown:\n%s%s", all, show)
	}
	eventstest.Wait(t, "the metric to count it", func() bool { return x.gauge(w.address("admin"), "countersign_unread_reports") == "1" })
	x.must(dir, "bounces", "unread", "discard", "1")
	if list := x.unreadList(dir); len(list) != 0 {
		t.Errorf("after it was discarded: %+v", list)
	}
	x.call(dir, exitFailure, "bounces", "unread", "show", "1")
	x.call(dir, exitFailure, "bounces", "unread", "discard", "1")
	x.call(dir, exitUsage, "bounces", "unread", "show", "x")
	w.end()
}

// TestBounce_AutomaticReplyIsNoted hands in a vacation notice on an email that was
// sent, and one on none.
func TestBounce_AutomaticReplyIsNoted(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(0, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	m := x.oneTo("signer-0@example.com", ".signature.0")
	away := "From: signer-0@example.com\nTo: loa@countersign.example\nSubject: Away\nMessage-ID: <v1@example.com>\nAuto-Submitted: auto-replied\n"
	if out := x.must(dir, "bounce", file(t, away+"In-Reply-To: "+m.MessageID+"\n\nI am away.\n")); !strings.Contains(out, "replied") || !strings.Contains(out, "applied") {
		t.Errorf("bounce says: %s", out)
	}
	if out := x.must(dir, "bounce", file(t, away+"\nI am away.\n")); !strings.Contains(out, "nothing to do") {
		t.Errorf("bounce says: %s", out)
	}
	if doc := x.document(dir, testPX(0)); doc.Status != workflow.Signing {
		t.Errorf("it is %s", doc.Status)
	}
	if show := x.must(dir, "documents", "show", string(testPX(0))); !strings.Contains(show, "mail reported replied") {
		t.Errorf("documents show:\n%s", show)
	}
	if list := x.unreadList(dir); len(list) != 0 {
		t.Errorf("unread reports: %+v", list)
	}
	w.end()
}

// TestBounce_FindsTheEmailByEachMark hands in reports from which every mark was
// taken but one, and one whose first mark names an email that was never sent.
func TestBounce_FindsTheEmailByEachMark(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir, "COUNTERSIGN_MAIL_RETURN_PATH=bounces+{mail}@countersign.example"))
	w.says("read to its end")
	const n = 6
	x.create(0, n, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, n)
	bare := func(i int, to, envelope, headers string) string {
		return file(t, "From: MAILER-DAEMON@mx.example.com\nTo: "+to+"\nMessage-Id: <bare-"+string(testPX(i))+"@mx>\nMIME-Version: 1.0\nContent-Type: multipart/report; boundary=b\n\n"+
			"--b\nContent-Type: message/delivery-status\n\n"+envelope+"Reporting-MTA: dns; mx.example.com\n\nAction: failed\nStatus: 5.1.1\nFinal-Recipient: rfc822; x@example.com\n\n"+
			"--b\nContent-Type: text/rfc822-headers\n\nSubject: x\n"+headers+"\n--b--\n")
	}
	id := func(i int) string { return string(testPX(i)) + ".1.signature.0" }
	mail := x.oneTo("signer-0@example.com", ".signature.0")
	if !strings.HasPrefix(mail.From, "bounces+cs") || mail.Header.Get("X-Countersign-Mail") != id(0) {
		t.Errorf("the return path is %s, the header %q", mail.From, mail.Header.Get("X-Countersign-Mail"))
	}
	const nobody, replaced = "loa@countersign.example", "Message-ID: <0102018f@eu-west-1.amazonses.com>\n"
	unsent := string(testPX(99)) + ".1.signature.0"
	for i, report := range []string{
		bare(0, strings.ToUpper(mail.From), "", replaced), // VERP
		bare(1, nobody, "Original-Envelope-Id: "+id(1)+"\n", replaced),
		bare(2, nobody, "", "X-Countersign-Mail: "+id(2)+"\n"+replaced),
		bare(3, nobody, "", "X-Microsoft-Original-Message-ID: <"+id(3)+"@countersign.example>\n"+replaced),
		bare(4, nobody, "Original-Envelope-Id: "+string(testPX(4))+".1.signature.77\n", "Message-ID: <"+id(4)+"@countersign.example>\n"), // an email that was not sent
		bare(5, nobody, "Original-Envelope-Id: "+unsent+"\n", "Message-ID: <"+id(5)+"@countersign.example>\n"),                           // a document that is not there
	} {
		x.must(dir, "bounce", report)
		if doc := x.document(dir, testPX(i)); doc.Status != workflow.Failed {
			t.Errorf("report %d: the document is %s", i, doc.Status)
		}
	}
	w.end()
}
