// Package db keeps the documents, what is owed on their account, and how far
// the log is folded into them, in one SQLite file. Every change goes through
// Store.Apply; the file can always be made again from the log.
package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

// FileName is the database's name in the data directory.
const FileName = "countersign.db"

//go:embed migrations/*.sql
var migrations embed.FS

// Position is how far the log is folded into the store, and what identifies
// the entry that is there.
type Position struct {
	Sequence    uint64    // of the last entry applied, 0 before the first
	Time        time.Time // that entry's timestamp
	ID, Source  string    // that entry's identity
	Stream      time.Time // when the stream was created; zero before the first entry
	Claim       uint64    // sequence of the last entry on the claims' subject, 0 before the first; it may be somebody else's
	ClaimWorker string    // who made the last claim
	HookClaim   uint64    // sequence of the last entry on the subject of the claims of deliveries, 0 before the first
	HookWorker  string    // who made the last of these claims
	Worker      string    // this file's own name on the log
	workflow.Settings
}

// Active reports whether this worker made the last claim, or nobody has.
func (p Position) Active() bool {
	return p.Claim == 0 || p.ClaimWorker == "" || p.ClaimWorker == p.Worker
}

// Store is the database: one connection that writes, and a pool that reads.
type Store struct {
	path          string
	write, read   *sql.DB
	conn          *sql.Conn // the one of write
	wq, rq        *sqlc.Queries
	begin, commit *sql.Stmt                           // of a transaction on conn
	beside        atomic.Bool                         // whether there may be orders or addresses with events of their own
	unswept       atomic.Bool                         // see Unswept
	applying      sync.Mutex                          // held while a batch is applied
	lately        map[workflow.SID]*workflow.State    // of documents that the last batches touched, as the tables have them; guarded by applying
	webhooks      map[workflow.SID][]workflow.Webhook // by account, as the table has them; nil if they must be read; guarded by applying
	mu            sync.Mutex                          // guards what is below
	position      Position
	changed       chan struct{}                    // closed when a batch has been applied
	mailsChanged  chan struct{}                    // see MailsChanged; nil if nobody waits
	owingChanged  chan struct{}                    // see EventsChanged; nil if nobody waits
	hooksChanged  chan struct{}                    // see DeliveriesChanged; nil if nobody waits
	watched       map[workflow.SID][]chan struct{} // see DocumentChanged
	duplicates    uint64
	appliedCount  uint64
	opened        fs.FileInfo // of the file when it was opened to be written; nil in memory
	frozen        fs.FileInfo // of the file when it was opened as one that nobody writes to; else nil
	marker        *marker     // of what is being folded; nil in a store that is only read
	tell          func(Lock)  // may be nil
}

// Open opens the store in the directory dir, which must exist, and brings its
// tables up to this program's version. It fails if the file is damaged, or
// was written by a newer version. While another process has locked the file, Open
// waits until ctx ends, and so does what later applies entries.
func Open(ctx context.Context, dir string) (*Store, error) { return OpenTelling(ctx, dir, nil) }

// OpenTelling is Open for those who want to say what the store waits for: it calls
// tell about once a second while another process has locked the file, and once
// when that is over, from one goroutine at a time.
func OpenTelling(ctx context.Context, dir string, tell func(Lock)) (s *Store, err error) {
	path := filepath.Join(dir, FileName)
	err = patiently(ctx, path, tell, func() error {
		s = &Store{path: path, changed: make(chan struct{}), tell: tell}
		if err := s.open(ctx); err != nil {
			return errors.Join(explain(path, err), s.Close())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// dsn has the pragmas: set in another way, they would reach only one connection
// of the pool. With synchronous=NORMAL a power cut may lose the newest batches,
// which are then read from the log again. Readers wait for five seconds, the
// default of the driver, unless extra says otherwise. secure_delete overwrites
// deleted rows, but not stale copies left in a page when rows were moved to
// another page; Sweep removes these.
func dsn(path, extra string) string {
	return uri(path) + "?_journal_mode=WAL&_synchronous=NORMAL&_foreign_keys=on&_secure_delete=on" + extra
}

// uri names a file for SQLite, whatever characters its path has. Every path that
// is given to SQLite must pass through it: a path that is not a URI is cut off or
// decoded as one. See https://sqlite.org/uri.html, section 3.1.
func uri(path string) string {
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

func (s *Store) open(ctx context.Context) (err error) {
	if s.write, err = sql.Open("sqlite3", dsn(s.path, fmt.Sprintf("&_cache_size=-%d&_txlock=immediate&_busy_timeout=%d", writerCache, busyTimeout.Milliseconds()))); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	// The DSN has no word for it. Were the one connection ever opened again, it
	// would be slower and no less safe.
	if _, err := s.write.ExecContext(ctx, "PRAGMA wal_autocheckpoint = 16384"); err != nil {
		return err
	}
	if s.marker, err = openMarker(filepath.Join(filepath.Dir(s.path), FoldingName)); err != nil {
		return err
	}
	return s.prepare(ctx, dsn(s.path, queryOnly))
}

// prepare brings the tables up to date, and prepares to write, and to read through
// connections that are opened by the name readers.
func (s *Store) prepare(ctx context.Context, readers string) (err error) {
	if err := migrate(ctx, s.write); err != nil {
		return err
	}
	if err := s.prepareWriter(ctx, rand.Text()); err != nil {
		return err
	}
	if err := s.readMark(ctx); err != nil {
		return err
	}
	if s.opened, err = os.Stat(s.path); err != nil {
		return err
	}
	if err := s.openReaders(ctx, readers); err != nil {
		return err
	}
	if s.position.Rules > workflow.RulesVersion() {
		return fmt.Errorf("%w: it was folded by rules version %d, and this program knows version %d", ErrNewer, s.position.Rules, workflow.RulesVersion())
	}
	return nil
}

// OpenOn opens a store on a database that is open already and has this
// program's tables, a file's or one in memory: all reads and writes go through
// it. worker is the file's own name on the log if it has none yet.
func OpenOn(ctx context.Context, database *sql.DB, worker string) (*Store, error) {
	s := &Store{changed: make(chan struct{}), write: database, read: database}
	err := s.prepareWriter(ctx, worker)
	if err == nil {
		err = s.prepareReaders(ctx)
	}
	if err != nil {
		return nil, errors.Join(explain("", err), s.Close())
	}
	return s, nil
}

func (s *Store) prepareWriter(ctx context.Context, worker string) (err error) {
	if s.conn, err = s.write.Conn(ctx); err != nil {
		return err
	}
	if s.wq, err = sqlc.Prepare(ctx, s.conn); err != nil {
		return fmt.Errorf("prepare statements: %w", err)
	}
	if s.begin, err = s.conn.PrepareContext(ctx, "BEGIN IMMEDIATE"); err == nil {
		s.commit, err = s.conn.PrepareContext(ctx, "COMMIT")
	}
	if err != nil {
		return fmt.Errorf("prepare statements: %w", err)
	}
	return errors.Join(s.name(ctx, worker), s.lookBeside(ctx))
}

// How many KiB of pages a connection keeps, beside what the system keeps of the
// file. The writer looks for places all over the tables. A reader begins with an
// empty cache after each batch that the writer has committed.
const (
	writerCache = 16 << 10
	readerCache = 2 << 10
)

// queryOnly is what the name of a connection says that reads.
var queryOnly = fmt.Sprintf("&_cache_size=-%d&_query_only=on", readerCache)

func (s *Store) openReaders(ctx context.Context, name string) (err error) {
	if s.read, err = sql.Open("sqlite3", name); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(max(4, runtime.NumCPU()))
	s.read.SetMaxIdleConns(max(4, runtime.NumCPU()))
	if err := s.sameSchema(ctx); err != nil {
		return err
	}
	return s.prepareReaders(ctx)
}

// sameSchema reads which version the file's tables have: another process may
// write to it, and be of another version.
func (s *Store) sameSchema(ctx context.Context) error {
	var has int64
	if err := s.read.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&has); err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	switch knows := SchemaVersion(); {
	case has < knows:
		return ErrOlder
	case has > knows:
		return ErrNewer
	}
	return nil
}

func (s *Store) prepareReaders(ctx context.Context) (err error) {
	if s.rq, err = sqlc.Prepare(ctx, s.read); err != nil {
		return fmt.Errorf("prepare statements: %w", err)
	}
	p, err := s.rq.GetPosition(ctx)
	if err != nil {
		return err
	}
	s.position, err = position(p)
	return err
}

// ErrNewer means that the file was written by a newer version of the program.
var ErrNewer = errors.New("the database was written by a newer version of countersign; use that version, or run countersign rebuild, which makes it again from the log and keeps the old file")

// ErrOlder means that the file was written by an older version of the program,
// and that no worker of this version has brought it up to date.
var ErrOlder = errors.New("the database was written by an older version of countersign; use that version, or start a worker of this one, which brings it up to date")

func migrate(ctx context.Context, db *sql.DB) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if current > target {
		return ErrNewer
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// Close closes the store, after the batch that is being applied. It fails
// with workflow.ErrConflict if what was read cannot be trusted: the file could
// only be read as one that nobody writes to, and somebody wrote to it.
func (s *Store) Close() error {
	s.applying.Lock()
	defer s.applying.Unlock()
	errs := []error{s.marker.close(), s.stayedFrozen()}
	for _, q := range []*sqlc.Queries{s.rq, s.wq} {
		if q != nil {
			errs = append(errs, q.Close())
		}
	}
	for _, stmt := range []*sql.Stmt{s.begin, s.commit} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// explain says what trouble with the file means for whoever runs the program.
func explain(path string, err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("database %s: %w", path, err)
	}
	fix := ""
	switch e.Code {
	case sqlite3.ErrFull:
		fix = "the disk is full; free space and start again: nothing on the log is lost"
	case sqlite3.ErrIoErr:
		fix = "the disk failed; check it, and start again: nothing on the log is lost"
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		fix = "the file is damaged; run countersign rebuild, which makes it again from the log and keeps the old file"
	case sqlite3.ErrBusy:
		fix = "another process has locked the file; wait until that process is done, or end it"
		if holder := lockHolder(path); holder != "" {
			fix = holder + " has locked the file; wait until that process is done, or end it"
		}
	case sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrPerm:
		fix = "the file cannot be written; check the directory's owner and permissions"
	default:
		return fmt.Errorf("database %s: %w", path, err)
	}
	return fmt.Errorf("database %s: %w: %s", path, err, fix)
}

// Position returns how far the log is applied.
func (s *Store) Position() Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}

// Changed returns a channel that is closed when the next batch has been
// applied.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// MailsChanged returns a channel that is closed when the next batch has been
// applied that made emails pending, or after which OpenClaims has a claim of
// another worker or Position.Active another answer. The passing of time, which
// makes emails due, does not close it, nor does what this worker has claimed and
// its outcomes: whoever claims knows those.
func (s *Store) MailsChanged() <-chan struct{} { return s.wait(&s.mailsChanged) }

// EventsChanged is the same for DueEvents and Position.Active.
func (s *Store) EventsChanged() <-chan struct{} { return s.wait(&s.owingChanged) }

// DeliveriesChanged is the same for DueDeliveries, OpenDeliveryClaims and
// Position.Delivers.
func (s *Store) DeliveriesChanged() <-chan struct{} { return s.wait(&s.hooksChanged) }

func (s *Store) wait(on *chan struct{}) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *on == nil {
		*on = make(chan struct{})
	}
	return *on
}

// WaitApplied waits until the entry at seq has been applied, or ctx ends.
func (s *Store) WaitApplied(ctx context.Context, seq uint64) error {
	for {
		s.mu.Lock()
		applied, changed := s.position.Sequence, s.changed
		s.mu.Unlock()
		switch {
		case applied >= seq:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("wait for entry %d to be applied: %w", seq, ctx.Err())
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}
