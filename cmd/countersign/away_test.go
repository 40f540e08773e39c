package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

// TestCountersign_CommandsReportUnreachableNATS: a command that cannot reach the log says so
// soon, where it looked and what to do, and quotes no password.
func TestCountersign_CommandsReportUnreachableNATS(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(0, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	var group sync.WaitGroup
	for _, args := range [][]string{
		{"publish", "../../examples/day.jsonl"}, {"documents", "resend", string(testPX(0))}, {"verify"}, {"snapshot", "list"},
	} {
		group.Go(func() {
			_, errs := x.call(dir, exitFailure, append(args, "--nats-url", "nats://operator:hush@127.0.0.1:1")...)
			if !strings.Contains(errs, "no connection to NATS at nats://127.0.0.1:1 in 5s; is it up, and --nats-url right?") || strings.Contains(errs, "hush") {
				t.Errorf("%v: %s", args, errs)
			}
		})
	}
	group.Wait()
	w.end()
}

// TestPublish_ReportsWhatNATSForbids: who may not do what a command does hears it
// from the server, and not of a time that ran out alone.
func TestPublish_ReportsWhatNATSForbids(t *testing.T) {
	broker := startSecured(t, usersConf, false)
	x, dir := townAt(t, broker), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	file := filepath.Join(t.TempDir(), "events.jsonl")
	line := `{"subject":"` + events.Prefix + string(testAccount) + "." + string(testPX(0)) + `.created","data":{}}`
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs := x.call(dir, exitFailure, "publish", file, "--timeout", "5s", "--nats-url", broker.as("reports"), "--nats-inbox-prefix", "_INBOX_reports")
	if !strings.Contains(strings.ToLower(errs), "permissions violation for publish") {
		t.Errorf("without the permission: %s", errs)
	}
	_, errs = x.call(dir, exitFailure, "publish", file, "--nats-url", strings.Replace(broker.as("reports"), "secret", "guess", 1))
	if !strings.Contains(strings.ToLower(errs), "authorization violation") || strings.Contains(errs, "guess") {
		t.Errorf("with a wrong password: %s", errs)
	}
	w.end()
}

// TestCountersign_CommandsMakeNoLog: a command that is given the wrong directory, or looks
// while the stream is being restored, does not make an empty log there.
func TestCountersign_CommandsMakeNoLog(t *testing.T) {
	x := newTown(t)
	for _, args := range [][]string{
		{"verify"}, {"snapshot", "take"}, {"snapshot", "list"}, {"rebuild"}, {"erase", "--yes", string(testPX(0))}, {"replay", "../../examples/day.jsonl"},
	} {
		if _, errs := x.call(t.TempDir(), exitFailure, args...); !strings.Contains(errs, "there is no stream AUTHDOCS") {
			t.Errorf("%v where there is no stream: %s", args, errs)
		}
		wrong := filepath.Join(t.TempDir(), "wrong")
		env := slices.DeleteFunc(x.env(wrong), func(s string) bool { return strings.HasPrefix(s, "COUNTERSIGN_NATS_URL=") })
		var errs logtest.Buffer
		if code := run(t.Context(), args, env, &errs, &errs); code != exitFailure || !strings.Contains(errs.String(), "no log in "+wrong) {
			t.Errorf("%v in a wrong directory: exit code %d, %s", args, code, errs.String())
		}
		if _, err := os.Stat(wrong); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v has made a directory: %v", args, err)
		}
	}
	js, err := jetstream.New(x.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Stream(t.Context(), events.StreamName); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("there is a stream: %v", err)
	}
}

// TestCountersign_CommandsSayWhyTheyRefuse: what is asked for in the wrong way is an error of the
// call, in text and with --json; and an erased document is said to be one.
func TestCountersign_CommandsSayWhyTheyRefuse(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(0, 1, "signer-%d@example.com")
	x.cancel(0)
	x.statuses(dir, workflow.Canceled, 1)
	x.rest(dir)
	for _, args := range [][]string{{"erase", string(testPX(0))}, {"erase", string(testPX(0)), "--json"}} {
		if out, errs := x.call(dir, exitUsage, args...); !strings.Contains(out, "canceled") || !strings.Contains(errs, "nothing was changed") {
			t.Errorf("%v: %s%s", args, out, errs)
		}
	}
	x.must(dir, "erase", "--yes", string(testPX(0)))
	x.rest(dir)
	if out := x.must(dir, "documents", "show", string(testPX(0))); !regexp.MustCompile(`status +erased\n`).MatchString(out) {
		t.Errorf("an erased document: %s", out)
	}
	if _, errs := x.call(dir, exitFailure, "documents", "resend", string(testPX(0))); !strings.Contains(errs, "was erased") {
		t.Errorf("an erased document is sent again: %s", errs)
	}
	x.call(dir, exitUsage, "dead", "list", "--dead", "--refused")
	if _, errs := x.call(t.TempDir(), exitFailure, "keys", "list", "--keys-file", filepath.Join(t.TempDir(), "keys")); !strings.Contains(errs, "check that --data-dir or --keys-file is the worker's") {
		t.Errorf("keys list elsewhere: %s", errs)
	}
	w.end()
}

// TestDocumentsList_SaysWhenTheLimitCutsIt: who counts the rows is told that there may be more.
func TestDocumentsList_SaysWhenTheLimitCutsIt(t *testing.T) {
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(0, 3, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 3)
	for limit, says := range map[string]bool{"2": true, "4": false} {
		out, errs := x.call(dir, exitOK, "documents", "list", "--json", "--limit", limit)
		if strings.Contains(errs, "there may be more; see --limit") != says || strings.Contains(out, "more") {
			t.Errorf("--limit %s of 3: %s%s", limit, out, errs)
		}
	}
	w.end()
}

// TestServe_WarnsThatPublicURLIsNotSet: a worker that nobody told its public URL mails
// links that nobody else can open.
func TestServe_WarnsThatPublicURLIsNotSet(t *testing.T) {
	x := newTown(t)
	for _, url := range []string{"", "https://sign.example.com"} {
		w := start(t, x.env(t.TempDir(), "COUNTERSIGN_PUBLIC_URL="+url))
		w.says("read to its end")
		if said := strings.Contains(w.log.String(), "public-url is not set: links in emails point to this machine"); said != (url == "") {
			t.Errorf("with %q: %v", url, said)
		}
		w.end()
	}
}

// TestDev_StaysOnThisMachine: neither another's log nor a real mail server that
// the environment names gets what dev makes up, and its links lead to itself.
func TestDev_StaysOnThisMachine(t *testing.T) {
	own := []string{"COUNTERSIGN_LISTEN=127.0.0.1:0", "COUNTERSIGN_ADMIN_LISTEN=127.0.0.1:0", "COUNTERSIGN_NATS_LISTEN=off"}
	for _, theirs := range []string{"COUNTERSIGN_NATS_URL=nats://127.0.0.1:1", "COUNTERSIGN_SMTP_URL=smtp://127.0.0.1:1?tls=none"} {
		var errs logtest.Buffer
		if code := run(t.Context(), []string{"dev"}, append(own, theirs), &errs, &errs); code != exitUsage || !strings.Contains(errs.String(), "or run serve") {
			t.Errorf("%s: exit code %d, %s", theirs, code, errs.String())
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var out logtest.Buffer
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"dev", "--log-level", "info", "--log-format", "text"}, own, &out, &out)
	}()
	at, api := regexp.MustCompile(`public=(127\.0\.0\.1:\d+)`), regexp.MustCompile(`API +http://\S+`)
	eventstest.Wait(t, "dev to be up", func() bool { return at.MatchString(out.String()) && api.MatchString(out.String()) })
	if said := at.FindStringSubmatch(out.String())[1]; !strings.Contains(out.String(), "API    http://"+said+" ") {
		t.Errorf("it listens on %s:\n%s", said, out.String())
	}
	stop()
	if code := <-done; code != exitOK {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}
