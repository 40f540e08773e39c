package accounts_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/accounts"
	"countersign/workflow"
)

const (
	one   = workflow.SID("AC000102030405060708090a0b0c0d0e0f")
	two   = workflow.SID("ACffffffffffffffffffffffffffffffff")
	given = "abcdefghijklmnopqrstuvwxyz012345"
)

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// book is an accounts file in a directory of its own.
type book struct {
	*accounts.File
	t     *testing.T
	path  string
	clock *clock
	log   bytes.Buffer
}

func open(t *testing.T) *book {
	b := &book{t: t, path: filepath.Join(t.TempDir(), "accounts"), clock: &clock{now: start}}
	b.File = accounts.Open(b.path, b.clock.Now, slog.New(slog.NewTextHandler(&b.log, nil)))
	return b
}

func (b *book) add(sid workflow.SID) string {
	b.t.Helper()
	token, err := b.Add(sid, "")
	if err != nil {
		b.t.Fatal(err)
	}
	return token
}

func (b *book) rotate(sid workflow.SID) string {
	b.t.Helper()
	token, err := b.Rotate(sid)
	if err != nil {
		b.t.Fatal(err)
	}
	return token
}

// want checks whose a name and a secret are; empty: nobody's.
func (b *book) want(name, secret string, want workflow.SID) {
	b.t.Helper()
	got, err := b.Authenticate(name, secret)
	if got != want || (want == "") != errors.Is(err, workflow.ErrNotFound) || want != "" && err != nil {
		b.t.Errorf("%s is %q, %v; want %q", name, got, err, want)
	}
}

func TestAuthenticate_TokensAndKeys(t *testing.T) {
	b := open(t)
	b.want(string(one), given, "")
	first := b.add(one)
	other, err := b.Add(two, given)
	if err != nil || other != given {
		t.Fatalf("added with %q, %v", other, err)
	}
	b.want(string(one), first, one)
	b.want(string(two), given, two)
	b.want(string(one), given, "")
	b.want(string(two), first, "")
	b.want(string(one), "", "")
	b.want("", "", "")
	b.want(string(one), first[:31], "")
	b.want(string(one), first+"x", "")
	b.want(string(one), strings.Repeat("x", 1<<20), "")
	b.want(strings.ToLower(string(one)), first, "")

	second := b.rotate(one)
	b.want(string(one), first, one)
	b.want(string(one), second, one)
	third := b.rotate(one)
	b.want(string(one), first, "")
	b.want(string(one), second, one)
	b.want(string(one), third, one)

	key, secret, err := b.AddKey(one)
	if err != nil {
		t.Fatal(err)
	}
	b.want(string(key), secret, one)
	b.want(string(key), third, "")
	b.want(string(one), secret, "")
	if err := b.Disable(one, true); err != nil {
		t.Fatal(err)
	}
	b.want(string(one), third, "")
	b.want(string(key), secret, "")
	b.want(string(two), given, two)
	if err := b.Disable(one, false); err != nil {
		t.Fatal(err)
	}
	b.want(string(key), secret, one)
	if err := b.RemoveKey(key); err != nil {
		t.Fatal(err)
	}
	b.want(string(key), secret, "")
	b.want(string(one), third, one)
}

func TestFile_SecretsStayOutOfTheFile(t *testing.T) {
	b := open(t)
	pattern := regexp.MustCompile(`^[A-Za-z0-9]{32}$`)
	seen := map[string]bool{}
	secrets := []string{b.add(one)}
	for range 50 {
		_, secret, err := b.AddKey(one)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, b.rotate(one), secret)
	}
	data, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		if !pattern.MatchString(s) || seen[s] {
			t.Errorf("%q is no secret, or the second of its kind", s)
		}
		if bytes.Contains(data, []byte(s)) {
			t.Errorf("the file has %q", s)
		}
		seen[s] = true
	}
	info, err := os.Stat(b.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if b.log.Len() > 0 {
		t.Errorf("logged: %s", &b.log)
	}
}

func TestList_ShowsAccountsAndKeys(t *testing.T) {
	b := open(t)
	if list, err := b.List(); err != nil || len(list) != 0 {
		t.Errorf("without a file: %v, %v", list, err)
	}
	b.add(one)
	b.clock.pass(time.Hour)
	b.rotate(one)
	key, _, err := b.AddKey(one)
	if err != nil {
		t.Fatal(err)
	}
	b.add(two)
	if err := b.Disable(two, true); err != nil {
		t.Fatal(err)
	}
	got, err := b.List()
	if err != nil {
		t.Fatal(err)
	}
	later := start.Add(time.Hour)
	want := []accounts.Account{
		{SID: one, Created: start, Tokens: []time.Time{later, start}, Keys: []accounts.Key{{SID: key, Created: later}}},
		{SID: two, Disabled: true, Created: later, Tokens: []time.Time{later}, Keys: []accounts.Key{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestAuthenticate_AnotherProcessChangesTheFile has a worker notice what the command line
// does, within a second, and keep to what it knows where the file is damaged.
func TestAuthenticate_AnotherProcessChangesTheFile(t *testing.T) {
	worker := open(t)
	command := accounts.Open(worker.path, worker.clock.Now, slog.New(slog.DiscardHandler))
	worker.want(string(one), given, "")
	token, err := command.Add(one, "")
	if err != nil {
		t.Fatal(err)
	}
	worker.want(string(one), token, "")
	worker.clock.pass(time.Second)
	worker.want(string(one), token, one)
	if err := command.Disable(one, true); err != nil {
		t.Fatal(err)
	}
	worker.clock.pass(time.Second)
	worker.want(string(one), token, "")
	if err := command.Disable(one, false); err != nil {
		t.Fatal(err)
	}
	worker.clock.pass(time.Second)
	worker.want(string(one), token, one)

	good, err := os.ReadFile(worker.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "{", `{"accounts":[null]}`, `{"accounts":[{"sid":"AC1"}]}`, strings.Replace(string(good), `"accounts": [`, `"accounts": [`+strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(string(good)), "{\n  \"accounts\": ["), "]\n}")+",", 1)} {
		if err := os.WriteFile(worker.path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		worker.clock.pass(time.Second)
		worker.want(string(one), token, one)
		if !strings.Contains(worker.log.String(), "cannot be read") || strings.Contains(worker.log.String(), "hash") {
			t.Errorf("on %q: the log says %q", bad, &worker.log)
		}
		if _, err := command.Add(two, ""); err == nil {
			t.Errorf("%q was written over", bad)
		}
	}
	if err := os.Remove(worker.path); err != nil {
		t.Fatal(err)
	}
	worker.clock.pass(time.Second)
	worker.want(string(one), token, "")
}

// FuzzFile reads files of any content: they end in an error or in a list, and
// never let anybody in.
func FuzzFile(f *testing.F) {
	for _, s := range []string{"", "{}", `{"accounts":[]}`, `{"accounts":[{"sid":"` + string(one) + `","tokens":[{"salt":"","hash":""}]}]}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data string) {
		b := open(t)
		if err := os.WriteFile(b.path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = b.List()
		for _, secret := range []string{"", given} {
			if sid, err := b.Authenticate(string(one), secret); err == nil {
				t.Errorf("%q lets %s in", data, sid)
			}
		}
	})
}

// TestFile_OpenToOthersIsRefused opens the file to other users, who add an
// account of their own: what the file said before counts, and no command goes on
// from it.
func TestFile_OpenToOthersIsRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o666, 0o644, 0o602, 0o660, 0o604} {
		mallory := open(t)
		theirs := mallory.add(two)
		b := open(t)
		token := b.add(one)
		b.want(string(one), token, one)
		data, err := os.ReadFile(mallory.path)
		if err == nil {
			err = errors.Join(os.WriteFile(b.path, data, 0o600), os.Chmod(b.path, mode))
		}
		if err != nil {
			t.Fatal(err)
		}
		b.clock.pass(time.Second)
		b.want(string(two), theirs, "")
		b.want(string(one), token, one)
		if said := b.log.String(); !strings.Contains(said, "chmod 600 "+b.path) {
			t.Errorf("mode %#o: the log says %q", mode, said)
		}
		if _, err := b.Add("AC00000000000000000000000000000003", ""); err == nil {
			t.Errorf("mode %#o: an account was added", mode)
		}
		if _, err := b.List(); err == nil {
			t.Errorf("mode %#o: it was listed", mode)
		}
		if err := os.Chmod(b.path, 0o640); err != nil { // the mode alone changes
			t.Fatal(err)
		}
		b.clock.pass(time.Second)
		b.want(string(two), theirs, two)
	}
}

// stranger is a user who owns no file.
const stranger = 65534
