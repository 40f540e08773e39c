package sim

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"countersign/db"
	"countersign/workflow"
)

// disk is a worker's database, in memory. It outlives the runs of the worker,
// and keeps its statements prepared between them.
type disk struct {
	mu         sync.Mutex
	raw        *sqlite3.SQLiteConn
	other      *sqlite3.SQLiteConn // what is to be copied into it
	statements map[string]*sqlite3.SQLiteStmt
	broken     breakage
	position   []driver.NamedValue // of the open transaction, if it does not write one itself
	putting    string              // the statement that wrote it
	busy       bool                // the last transaction was refused
}

// spare are disks that no schedule uses at the moment: to make one takes longer
// than a schedule.
var spare struct {
	sync.Mutex
	disks []*disk
}

func takeDisk() *disk {
	spare.Lock()
	defer spare.Unlock()
	if n := len(spare.disks); n > 0 {
		d := spare.disks[n-1]
		spare.disks = spare.disks[:n-1]
		return d
	}
	d := &disk{raw: memory(), other: memory(), statements: map[string]*sqlite3.SQLiteStmt{}}
	d.restore(empty())
	return d
}

func memory() *sqlite3.SQLiteConn {
	conn, err := (&sqlite3.SQLiteDriver{}).Open("file::memory:?_foreign_keys=on&_synchronous=OFF")
	must(err)
	return conn.(*sqlite3.SQLiteConn)
}

// giveBack keeps the disk for another schedule.
func (d *disk) giveBack() {
	spare.Lock()
	defer spare.Unlock()
	spare.disks = append(spare.disks, d)
}

// empty is a database with tables and nothing in them.
var empty = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "sim")
	must(err)
	defer os.RemoveAll(dir)
	store, err := db.Open(context.Background(), dir)
	must(err)
	must(store.Close())
	conn, err := (&sqlite3.SQLiteDriver{}).Open(filepath.Join(dir, db.FileName))
	must(err)
	defer conn.Close()
	raw := conn.(*sqlite3.SQLiteConn)
	_, err = raw.Exec("PRAGMA journal_mode = DELETE; DELETE FROM position", nil)
	must(err)
	image, err := raw.Serialize("main")
	must(err)
	return image
})

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// newDisk returns an empty disk.
func newDisk(broken breakage) *disk {
	d := takeDisk()
	d.broken, d.busy = broken, false
	d.clear()
	return d
}

// tables lists the tables of an empty database.
var tables = sync.OnceValue(func() (names []string) {
	image := empty()
	conn := memory()
	defer conn.Close()
	must(conn.Deserialize(image, "main"))
	rows, err := conn.Query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%'", nil)
	must(err)
	defer rows.Close()
	for row := []driver.Value{nil}; rows.Next(row) == nil; {
		names = append(names, row[0].(string))
	}
	return names
})

// clear empties the tables: unlike another image in their place, that leaves
// the statements prepared.
func (d *disk) clear() {
	d.crash(false)
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.raw.Exec("BEGIN; DELETE FROM "+strings.Join(tables(), "; DELETE FROM ")+"; COMMIT", nil)
	must(err)
}

// image is a copy of what is committed.
func (d *disk) image() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, err := d.raw.Serialize("main")
	must(err)
	return b
}

// restore puts a copy in the place of what is there.
func (d *disk) restore(image []byte) {
	d.crash(false)
	d.mu.Lock()
	defer d.mu.Unlock()
	// What was deserialized cannot grow.
	must(d.other.Deserialize(image, "main"))
	backup, err := d.raw.Backup("main", d.other, "main")
	must(err)
	_, err = backup.Step(-1)
	must(err)
	must(backup.Finish())
}

// crash forgets what is not committed. Where the position is broken off from
// the state, it may be written and the state not.
func (d *disk) crash(committing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.raw.AutoCommit() {
		_, err := d.raw.Exec("ROLLBACK", nil)
		must(err)
	}
	if committing && d.broken == positionApart && d.position != nil {
		_, err := d.statements[d.putting].ExecContext(context.Background(), d.position)
		must(err)
	}
	d.position = nil
}

// open opens the database for one run of the worker, which passes through at
// before each read, each begin and each commit. at is nil for an inspection.
func (d *disk) open(at func(op string) error) *sql.DB {
	return sql.OpenDB(connector{d, at})
}

type connector struct {
	disk *disk
	at   func(op string) error
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return conn(c), nil }
func (c connector) Driver() driver.Driver                        { return &sqlite3.SQLiteDriver{} }

// conn is one of any number of connections to the one database.
type conn connector

func (c conn) Close() error { return nil }

func (c conn) Prepare(query string) (driver.Stmt, error) {
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	if c.disk.statements[query] == nil {
		s, err := c.disk.raw.Prepare(query)
		if err != nil {
			return nil, err
		}
		c.disk.statements[query] = s.(*sqlite3.SQLiteStmt)
	}
	return stmt{c, query, c.disk.statements[query]}, nil
}

func (c conn) Begin() (driver.Tx, error) { return tx{}, nil } // of an inspection, while nothing is written

type tx struct{}

func (tx) Commit() error   { return nil }
func (tx) Rollback() error { return nil }

// BeginTx lets an inspection ask for a transaction that only reads.
func (c conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return tx{}, nil }

// ExecContext runs what begins and ends transactions, whether the store has prepared
// it or not.
func (c conn) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	if err := c.passes(query); err != nil {
		return nil, err
	}
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	if query == begin && c.disk.broken == noMailOrder {
		// The store forgets the documents that it has in memory if it has to wait.
		if c.disk.busy = !c.disk.busy; c.disk.busy {
			return nil, sqlite3.Error{Code: sqlite3.ErrBusy}
		}
	}
	if query != "COMMIT" {
		c.disk.position = nil
	}
	return c.disk.raw.Exec(query, nil)
}

func (c conn) passes(op string) error {
	if c.at == nil {
		return nil
	}
	return c.at(op)
}

type stmt struct {
	conn  conn
	query string
	stmt  *sqlite3.SQLiteStmt
}

var errPrepared = errors.New("statements are run with a context")

func (s stmt) Close() error                               { return nil }
func (s stmt) NumInput() int                              { return -1 }
func (s stmt) Exec([]driver.Value) (driver.Result, error) { return nil, errPrepared }
func (s stmt) Query([]driver.Value) (driver.Rows, error)  { return nil, errPrepared }

// name is the query's: its first line is a comment of sqlc's.
func (s stmt) name() string {
	_, rest, _ := strings.Cut(s.query, "-- name: ")
	name, _, _ := strings.Cut(rest, " ")
	return name
}

func (s stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if s.query == begin || s.query == commit {
		return s.conn.ExecContext(ctx, s.query, args)
	}
	d := s.conn.disk
	switch name := s.name(); {
	case name == "AddToInbox" && d.broken == noInbox:
		again, err := s.conn.Prepare(strings.Replace(s.query, "INSERT", "INSERT OR REPLACE", 1))
		if err != nil {
			return nil, err
		}
		s.stmt = again.(stmt).stmt
	case name == "PutPosition" && d.broken == positionApart:
		d.position, d.putting = args, s.query
	case name == "PutMail" && d.broken == noMailOrder:
		args = released(args)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return s.stmt.ExecContext(context.Background(), args)
}

// released puts "pending" in the place of "waiting" among a statement's values.
func released(args []driver.NamedValue) []driver.NamedValue {
	args = slices.Clone(args)
	for i, a := range args {
		if a.Value == string(workflow.MailWaiting) {
			args[i].Value = string(workflow.MailPending)
		}
	}
	return args
}

// inFold are the reads in the middle of a transaction, where begin and commit
// are points enough.
var inFold = map[string]bool{
	"KnownEvents": true, "LoadDocuments": true, "LoadPendingMails": true, "LoadParked": true, "LoadTimers": true, "Holders": true,
	"GetPosition": true, "AppliedBefore": true, "GetDocument": true, "NextDueMail": true,
}

func (s stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if name := s.name(); !inFold[name] {
		if err := s.conn.passes(name); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err // or database/sql fails with it, or not, as it happens
	}
	d := s.conn.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := s.stmt.QueryContext(context.Background(), args)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	all := &rows{columns: r.Columns()}
	if d.broken == noInbox && s.name() == "KnownEvents" {
		return all, nil
	}
	for {
		row := make([]driver.Value, len(all.columns))
		if err := r.Next(row); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name(), err)
		}
		all.rows = append(all.rows, row)
	}
}

// rows are the rows of a query, read at once: statements are shared.
type rows struct {
	columns []string
	rows    [][]driver.Value
}

func (r *rows) Columns() []string { return r.columns }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(to []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(to, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}

// TestDisk_TransactionsBeginAndEndAtPoints holds the model to the store: it is killed
// at these points, however the store asks for them.
func TestDisk_TransactionsBeginAndEndAtPoints(t *testing.T) {
	var passed []string
	d := newDisk(intact)
	defer d.giveBack()
	database := d.open(func(op string) error {
		passed = append(passed, op)
		return nil
	})
	defer database.Close()
	store, err := db.OpenOn(t.Context(), database, "w")
	if err != nil {
		t.Fatal(err)
	}
	passed = nil
	e := workflow.Entry{Sequence: 1, Time: time.Unix(1, 0), Subject: workflow.ClaimsSubject, ID: "1", Source: workflow.Source, Body: workflow.Claimed{}}
	if err := store.Apply(t.Context(), time.Unix(0, 0), []workflow.Entry{e}); err != nil {
		t.Fatal(err)
	}
	if len(passed) < 2 || passed[0] != begin || passed[len(passed)-1] != commit {
		t.Errorf("a batch passes %q, not from %s to %s", passed, begin, commit)
	}
}
