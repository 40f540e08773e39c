package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/db"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

// holdLock is the program if AS_LOCKER is set: it locks a database by a
// statement, says so, and holds the lock until it is killed.
func holdLock(database, by string) {
	file, err := sql.Open("sqlite3", "file:"+database+"?_busy_timeout=10000")
	if err == nil {
		file.SetMaxOpenConns(1)
		_, err = file.Exec(by)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "locked")
	select {}
}

// lock has another process lock the database in dir, until that is killed.
func lock(t *testing.T, dir, by string) *killable {
	t.Helper()
	k := launch(t, []string{"AS_LOCKER=" + filepath.Join(dir, db.FileName), "LOCK_BY=" + by})
	k.says("locked")
	return k
}

// TestServe_WaitsForAnotherProcessThatLocksTheDatabase locks the database of a
// worker with its own NATS server and lets events come in. The worker names the
// process that holds the lock and goes on reading; when that process is killed it
// applies what came in. Case f2.
func TestServe_WaitsForAnotherProcessThatLocksTheDatabase(t *testing.T) {
	t.Parallel()
	for _, by := range []string{
		"BEGIN IMMEDIATE",
		"BEGIN EXCLUSIVE; DELETE FROM documents; UPDATE position SET sequence = 1", // killed half done: rolled back
	} {
		t.Run(by, func(t *testing.T) {
			x, dir := newTown(t), t.TempDir()
			k := launch(t, append(x.embedded(dir), "AS_PROGRAM=1"), "serve")
			k.says("read to its end")
			do(t, onlyDir(dir), exitOK, "publish", oneLineFile(t, 1))
			x.statuses(dir, workflow.Signing, 1)
			x.quiet(dir)
			before := dump(t, dir)

			holder := lock(t, dir, by)
			do(t, onlyDir(dir), exitOK, "publish", oneLineFile(t, 2)) // NATS takes events
			k.says("another process has locked the database")
			if says := fmt.Sprintf("(process %d)", holder.cmd.Process.Pid); !strings.Contains(k.log.String(), says) {
				t.Errorf("the worker does not say who holds the lock, %s", says)
			}
			for _, page := range []string{"http://" + k.address("admin") + "/healthz", "http://" + k.address("admin") + "/metrics", "http://" + k.address("public") + "/"} {
				if code, _ := get(t, page); code != 200 {
					t.Errorf("%s: status %d", page, code)
				}
			}
			signer := x.signer(k.address("public"), testPX(1), 1)
			if page := signer.must("POST", "", signer.form("decline"), 503); !strings.Contains(page, "it counts once") {
				t.Errorf("the answer of the signing page:\n%s", page)
			}
			if out, _ := do(t, onlyDir(dir), exitOK, "documents", "show", string(testPX(1))); !strings.Contains(out, "signing") {
				t.Errorf("documents show says:\n%s", out)
			}
			sameState(t, before, dump(t, dir)) // nothing of a batch is there
			select {
			case <-k.dead:
				t.Fatal("the worker has ended")
			default:
			}

			holder.kill()
			k.says("the database is no longer locked")
			x.statuses(dir, workflow.Canceled, 1)
			x.statuses(dir, workflow.Signing, 1)
			if n := strings.Count(k.log.String(), "another process has locked the database"); n > 2 {
				t.Errorf("it says so %d times", n)
			}
			if out, _ := do(t, onlyDir(dir), exitOK, "verify"); !strings.Contains(out, "the database says what the log says") {
				t.Errorf("verify says: %s", out)
			}
		})
	}
}

// quiet waits until the store in dir owes nothing, whatever log it follows.
func (x *town) quiet(dir string) {
	x.t.Helper()
	eventstest.Wait(x.t, "the worker to owe nothing", func() bool {
		s := openStore(x.t, dir)
		defer s.Close()
		c, err := s.Counts(context.Background(), time.Now())
		return err == nil && c.PendingMails == 0 && c.PendingEvents == 0
	})
}

// TestServe_EndsWhileAnotherProcessLocksTheDatabase ends a worker that waits for
// the lock, while it works and when it starts; it starts once the lock is free.
func TestServe_EndsWhileAnotherProcessLocksTheDatabase(t *testing.T) {
	t.Parallel()
	x, dir := newTown(t), t.TempDir()
	k := x.process(x.env(dir))
	x.create(1, 1, "signer-%d@example.com")
	x.rest(dir)
	before := dump(t, dir)
	holder := lock(t, dir, "BEGIN IMMEDIATE")
	x.create(2, 20, "signer-%d@example.com")
	for range 2 {
		k.says("another process has locked the database")
		if err := k.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := k.dies(); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		sameState(t, before, dump(t, dir))
		k = x.launch(x.env(dir)) // the second time around, and at the end, it waits in its start
	}
	k.says("another process has locked the database")
	holder.kill()
	x.statuses(dir, workflow.Signing, 21)
	x.rest(dir)
	if _, repeats := x.caught(); len(repeats) > 0 {
		t.Errorf("sent twice: %v", repeats)
	}
}
