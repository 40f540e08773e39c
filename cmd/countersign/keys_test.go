package main

import (
	"encoding/json"
	"strings"
	"testing"

	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// TestKeysRotate_OldAndNewLinksOpenAtBothWorkers: two workers share a keys file. The links that
// were sent before open at both, and those sent after as well.
func TestKeysRotate_OldAndNewLinksOpenAtBothWorkers(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	file := "COUNTERSIGN_KEYS_FILE=" + x.keys
	one := start(t, x.env(dir, file))
	one.says("read to its end")
	second := t.TempDir()
	two := start(t, x.env(second, file))
	two.says("read to its end")
	x.create(0, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	before := x.oneTo("signer-0@example.com", ".signature.")
	keyOf := func(s *visitor) string { return s.url[strings.LastIndexByte(s.url, '/')+1:][:5] } // of the token, the key's id
	old := x.follows(one, before)

	out := x.must(dir, "keys", "rotate", "--keys-file", x.keys)
	n := 0
	eventstest.Wait(t, "a link made with the fresh key", func() bool {
		n++
		x.create(n, 1, "later-%d@example.com")
		x.rest(dir)
		return keyOf(x.signer(one.address("public"), testPX(n), 1)) != keyOf(old)
	})
	for _, w := range []*running{one, two} {
		x.rest(second)
		x.follows(w, before).must("GET", "", nil, 200)
		x.signer(w.address("public"), testPX(n), 1).must("GET", "", nil, 200)
	}
	list := strings.Split(strings.TrimSpace(x.must(dir, "keys", "list", "--json")), "\n")
	var states []string
	for _, line := range list {
		var k struct{ ID, State string }
		if err := json.Unmarshal([]byte(line), &k); err != nil {
			t.Fatal(err)
		}
		states = append(states, k.State)
		if k.State == "signing" && !strings.HasPrefix(out, k.ID) {
			t.Errorf("%s signs, and rotate said %s", k.ID, out)
		}
	}
	if strings.Join(states, " ") != "signing verifying" {
		t.Errorf("the keys are %v", states)
	}
	x.must(dir, "keys", "rotate", "--in", "1h")
	if out := x.must(dir, "keys", "list"); !strings.Contains(out, "waiting") || strings.Count(out, "verifying") != 1 {
		t.Errorf("keys list:\n%s", out)
	}
	if out := x.must(dir, "keys", "prune"); out != "" {
		t.Errorf("pruned: %s", out)
	}
	old.must("POST", "", old.form("sign"), 200)
	x.statuses(dir, workflow.Signed, 1)
	one.end()
	two.end()
}
