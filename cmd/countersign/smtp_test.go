package main

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"countersign/events"
	"countersign/internal/catcher"
	"countersign/workflow"
)

// TestServe_EachMailServerFaultEndsRight has one document for each way in which a mail
// server can fail at a mail, all at once: each document ends where it must,
// whatever becomes of the others, and only a mail that was stored and whose
// reply was lost goes out twice.
func TestServe_EachMailServerFaultEndsRight(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	type rule struct {
		phase catcher.Phase
		code  int // 0: the connection is closed
		more  smtp.EnhancedCode
		ends  workflow.Status
		tries int // that fail; 0: all of them
	}
	var rules []rule
	for _, phase := range []catcher.Phase{catcher.RcptTo, catcher.Data} {
		for _, code := range []int{421, 450, 451, 452, 0} {
			more := smtp.EnhancedCode{4, 0, 0}
			rules = append(rules, rule{phase, code, more, workflow.Signed, 1}, rule{phase, code, more, workflow.Signed, 2})
		}
		for _, c := range []struct {
			code int
			more smtp.EnhancedCode
		}{{550, smtp.EnhancedCode{5, 0, 0}}, {550, smtp.NoEnhancedCode}, {552, smtp.EnhancedCode{5, 2, 3}}, {554, smtp.EnhancedCode{5, 1, 1}}} {
			rules = append(rules, rule{phase, c.code, c.more, workflow.Failed, 0})
		}
		for _, c := range []struct {
			code int
			more smtp.EnhancedCode
		}{{504, smtp.EnhancedCode{5, 5, 2}}, {550, smtp.EnhancedCode{5, 7, 1}}, {552, smtp.EnhancedCode{5, 2, 2}}, {554, smtp.NoEnhancedCode}} {
			rules = append(rules, rule{phase, c.code, c.more, workflow.Signed, 2}) // until somebody has put it right
		}
	}
	rules = append(rules, rule{catcher.Stored, 0, smtp.NoEnhancedCode, workflow.Signed, 1})
	var mu sync.Mutex
	met := map[string]int{}
	x.box.Script(func(s catcher.Step) error {
		var n int
		if _, err := fmt.Sscanf(s.To, "rule-%d@", &n); err != nil || rules[n].phase != s.Phase {
			return nil
		}
		mu.Lock()
		met[s.To]++
		tried := met[s.To]
		mu.Unlock()
		switch r := rules[n]; {
		case r.tries > 0 && tried > r.tries:
			return nil
		case r.code == 0:
			s.Conn.Close()
			if s.Phase == catcher.Stored {
				return nil
			}
			return net.ErrClosed // and it is not stored
		default:
			return &smtp.SMTPError{Code: r.code, EnhancedCode: r.more, Message: "rule"}
		}
	})
	w := newWork(x)
	worker := x.process(x.quick(dir))
	for n := range rules {
		w.n++
		sid := testPX(w.n)
		w.say(events.Created("/rules", fmt.Sprint("created-", n), testAccount, sid, workflow.Created{
			AddressSID: "AD00000000000000000000000000000001", Email: fmt.Sprintf("rule-%d@example.com", n),
			CCEmails: []string{"no-such-user@example.com", "cc@example.com"}, HostedNumberOrders: numbered(orders(w.n)...),
		}))
		w.say(events.StatusChanged("/rules", fmt.Sprint("signed-", n), testAccount, sid, workflow.StatusChanged{Status: workflow.Signed}))
	}
	w.comesToRest(dir)
	s := openStore(t, dir)
	defer s.Close()
	_, repeats := x.caught()
	for n, r := range rules {
		sid := testPX(n + 1)
		d, err := s.Document(t.Context(), sid)
		if err != nil || d.Status != r.ends {
			t.Errorf("rule %+v: the document is %s, want %s (%v)", r, d.Status, r.ends, err)
		}
		mine := 0
		for id, copies := range repeats {
			if strings.HasPrefix(id, "<"+string(sid)) {
				mine += copies
			}
		}
		if want := map[bool]int{true: 1}[r.phase == catcher.Stored]; mine != want {
			t.Errorf("rule %+v: %d copies, want %d", r, mine, want)
		}
	}
	worker.kill()
}
