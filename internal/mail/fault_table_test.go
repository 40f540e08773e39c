package mail

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	"countersign/internal/delivery"
)

// row is a line of testdata/replies.tsv.
type row struct {
	server, reply string
	at            delivery.Stage
	alike         bool
	fault         fault
}

// code and words are the reply as net/textproto reads it.
func (r row) parts(t *testing.T) (code int, words string) {
	t.Helper()
	var lines []string
	for line := range strings.SplitSeq(r.reply, `\n`) {
		n, err := strconv.Atoi(line[:3])
		if err != nil {
			t.Fatal(err)
		}
		code = n
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(line[3:], "-"), " "))
	}
	return code, strings.Join(lines, "\n")
}

func rows(t *testing.T) (rows []row) {
	t.Helper()
	f, err := os.Open("testdata/replies.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		c := strings.Split(s.Text(), "\t")
		rows = append(rows, row{c[0], c[2], c[1], c[3] == "alike", fault(c[4])})
	}
	if len(rows) < 100 {
		t.Fatalf("only %d replies were read", len(rows))
	}
	return rows
}

// TestBlame_RealReplies has the replies of real servers.
func TestBlame_RealReplies(t *testing.T) {
	for _, r := range rows(t) {
		code, words := r.parts(t)
		if got := blame(r.at, code, enhancedOf(words), r.alike); got != r.fault {
			t.Errorf("%s at %s, alike %t: %q is about %q, want %q", r.server, r.at, r.alike, r.reply, got, r.fault)
		}
	}
}

// TestBlame_No5xxBeforeRecipientIsRecipients has every 5xx at every stage before
// RCPT and at DATA, with and without enhanced codes of recipients.
func TestBlame_No5xxBeforeRecipientIsRecipients(t *testing.T) {
	for _, at := range []delivery.Stage{delivery.AtConnect, delivery.AtEHLO, delivery.AtSTARTTLS, delivery.AtAUTH, delivery.AtMAIL, delivery.AtDATA, delivery.AtMessage} {
		for code := 500; code < 600; code++ {
			for _, enhanced := range []string{"", "5.1.1", "5.2.1", "5.1.10"} {
				if got := blame(at, code, enhanced, false); got != faultUs {
					t.Errorf("%d %s at %s is about %s", code, enhanced, at, got)
				}
			}
		}
	}
}

func TestLikeness_IgnoresWhatDiffersFromMailToMail(t *testing.T) {
	for _, c := range []struct {
		name     string
		one, two string
		toOne    string
		toTwo    string
		alike    bool
	}{
		{"an address", "<a@one.example>: Relay access denied", "<b@two.example>: Relay access denied", "a@one.example", "b@two.example", true},
		{"a bare local part and domain", "no relay for owner at one.example", "no relay for Boss at two.example", "owner@one.example", "boss@two.example", true},
		{"an id and a time", "5.7.1 no (x12si1) at 2026-11-30T10:00:00Z", "5.7.1 no (y99si7) at 2026-11-30T10:00:09Z", "a@b.c", "d@e.f", true},
		{"a host and an address of the network", "5.7.1 [192.0.2.1] via mx1.example.net no", "5.7.1 [2001:db8::1] via mx7.example.net no", "a@b.c", "d@e.f", true},
		{"several lines", "5.7.1 no\n5.7.1 really", "5.7.1 no\n5.7.1 really", "a@b.c", "d@e.f", true},
		{"no words", "", "", "a@b.c", "d@e.f", true},
		{"other words", "relay not permitted", "no such user", "a@b.c", "d@e.f", false},
		{"another enhanced code", "5.7.1 no", "5.7.26 no", "a@b.c", "d@e.f", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			one, two := likeness(delivery.AtRCPT, 550, c.one, c.toOne), likeness(delivery.AtRCPT, 550, c.two, c.toTwo)
			if (one == two) != c.alike {
				t.Errorf("%q and %q: alike %t, want %t", one, two, one == two, c.alike)
			}
		})
	}
	if likeness(delivery.AtRCPT, 550, "no", "a@b.c") == likeness(delivery.AtDot, 550, "no", "a@b.c") || likeness(delivery.AtRCPT, 550, "no", "a@b.c") == likeness(delivery.AtRCPT, 554, "no", "a@b.c") {
		t.Error("stage and code must count")
	}
}
