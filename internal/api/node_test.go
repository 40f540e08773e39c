package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/workflow"
)

// nodeModules is where Twilio's clients for Node.js are installed, by npm and
// exactly as node/package-lock.json says, the first time a test wants them.
var nodeModules = sync.OnceValues(func() (string, error) {
	lock, err := os.ReadFile("node/package-lock.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	digest := sha256.Sum256(lock)
	dir := filepath.Join(cache, "countersign", "node-"+hex.EncodeToString(digest[:8]))
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	return modules, install(dir)
})

// install installs beside the directory first: what stands there is whole.
func install(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	draft, err := os.MkdirTemp(filepath.Dir(dir), "draft-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(draft)
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		data, err := os.ReadFile(filepath.Join("node", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(draft, name), data, 0o600); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = draft
	var said bytes.Buffer
	npm.Stdout, npm.Stderr = &said, &said
	if err := npm.Run(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, &said)
	}
	if err := os.Rename(draft, dir); err != nil {
		if _, there := os.Stat(dir); there == nil {
			return nil // another test process was quicker
		}
		return err
	}
	return nil
}

// node runs a script with Twilio's clients at hand, and returns what it says.
func node(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	modules, err := nodeModules()
	if err != nil {
		t.Fatalf("install Twilio's clients (Node.js and npm are needed): %v", err)
	}
	cmd := exec.CommandContext(t.Context(), "node", args...)
	cmd.Env = append([]string{"NODE_PATH=" + modules, "PATH=" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// control is a server that lets a script have a document signed.
func (s *site) control(u *user) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sid := strings.TrimPrefix(r.URL.Path, "/sign/")
		s.sign(u.sid, workflow.SID(sid))
		s.seesSigned(u, sid)
		w.WriteHeader(http.StatusNoContent)
	}))
	s.t.Cleanup(server.Close)
	return server.URL
}

// TestHandler_TwilioNode has the newest client of each generation of the library go
// through a document's life, and through those of addresses and orders.
func TestHandler_TwilioNode(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct{ library, generation string }{
		{"twilio", "preview"},
		{"twilio", "v2"},
		{"twilio-5", "preview"},
		{"twilio-5", "v2"},
		{"twilio-4", "preview"},
		{"twilio-4", "v2"},
		{"twilio-3", "preview"}, // which has no v2
	} {
		for script, says := range map[string]string{"life": "a whole life", "hosting": "whole lives"} {
			t.Run(c.library+" "+c.generation+" "+script, func(t *testing.T) {
				u, other := s.user(), s.user()
				out, err := node(t, []string{
					"LIBRARY=" + c.library, "GENERATION=" + c.generation, "COUNTERSIGN_URL=" + s.url, "CONTROL=" + s.control(u),
					"ACCOUNT_SID=" + u.name, "AUTH_TOKEN=" + u.secret, "OTHER_SID=" + other.name, "OTHER_TOKEN=" + other.secret,
				}, "node/"+script+".cjs")
				if err != nil || !strings.Contains(out, says) {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// samples are the scripts in docs/api.md, by the word behind ```js.
func samples(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)```js (\\w+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = m[2]
	}
	return all
}

// TestHandler_SamplesOfTheDocumentation runs the scripts as they stand, which only
// list allows, and with real values.
func TestHandler_SamplesOfTheDocumentation(t *testing.T) {
	s := newSite(t)
	u := s.user()
	doc := u.created("AddressSid", "AD000102030405060708090a0b0c0d0e0f")
	run := func(script string) (string, error) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "sample.js")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		return node(t, []string{"COUNTERSIGN_URL=" + s.url, "TWILIO_ACCOUNT_SID=" + u.name, "TWILIO_AUTH_TOKEN=" + u.secret}, "-r", "./node/redirect.cjs", file)
	}
	filled := func(script string) string {
		return strings.NewReplacer(
			"ADXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", "AD000102030405060708090a0b0c0d0e0f", `"ContactPhoneNumber"`, `"+14155550100"`,
			`"ContactTitle"`, `"Owner"`, `"Email"`, `"owner@example.com"`, `"HostedNumberOrderSids"`, `"`+string(newSID("HR"))+`"`,
			"PXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", string(doc.sid()),
		).Replace(script)
	}
	scripts := samples(t)
	for _, c := range []struct{ name, fails string }{{"create", "22101"}, {"fetch", "20404"}, {"list", ""}, {"update", "20404"}} {
		t.Run(c.name, func(t *testing.T) {
			out, err := run(scripts[c.name])
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(out, "RestException") || !strings.Contains(out, "code: "+c.fails)) {
				t.Errorf("as it stands: %v\n%s", err, out)
			}
			if c.name == "update" {
				if out, err := run(filled(scripts[c.name])); err == nil || !strings.Contains(out, "code: 22107") {
					t.Errorf("on a document that is signing: %v\n%s", err, out)
				}
				u.want(u.do("POST", previewPath+"/"+string(doc.sid()), "Status=opened"), 200, 0)
			}
			out, err = run(filled(scripts[c.name]))
			if err != nil || !strings.Contains(out, "AD000102030405060708090a0b0c0d0e0f") {
				t.Errorf("with real values: %v\n%s", err, out)
			}
		})
	}
}
