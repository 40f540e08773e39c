package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/wneessen/go-mail"
)

// naiveCommand makes this program the naive loop.
const naiveCommand = "naive"

// workers is how many events the naive loop works on at once.
const workers = 16

// loop is what a programmer would write who has to get this done by the evening:
// a durable consumer, a row in SQLite for each document and each event seen, emails by
// go-mail from a template while the event waits, the orders, the acknowledgement. A
// crash loses emails or sends them twice.
type loop struct {
	js   jetstream.JetStream
	db   *sql.DB
	mail *mail.Client
}

// incoming is what the loop reads of an event.
type incoming struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data struct {
		Email  string   `json:"email"`
		CC     []string `json:"cc_emails"`
		Status string   `json:"status"`
		Orders []struct {
			SID    string `json:"sid"`
			Number string `json:"phone_number"`
		} `json:"hosted_number_orders"`
	} `json:"data"`
}

// naive runs the loop until SIGTERM. It takes NATS_URL, SMTP_ADDR and DATA_DIR from
// the environment.
func naive() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l, err := open()
	if err != nil {
		return err
	}
	defer l.db.Close()
	if _, err := l.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: []string{"authdocs.v1.>"}}); err != nil {
		return err
	}
	c, err := l.js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: "naive", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute,
		FilterSubjects: []string{"authdocs.v1.*.*.created", "authdocs.v1.*.*.status"},
	})
	if err != nil {
		return err
	}
	free := make(chan struct{}, workers)
	consuming, err := c.Consume(func(m jetstream.Msg) {
		free <- struct{}{}
		go func() {
			defer func() { <-free }()
			if err := l.handle(ctx, m); err != nil {
				fmt.Fprintln(os.Stderr, err)
				_ = m.NakWithDelay(time.Second)
				return
			}
			_ = m.Ack()
		}()
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	consuming.Stop()
	return nil
}

func open() (*loop, error) {
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(os.Getenv("DATA_DIR"), "naive.db")+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=10000&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE documents (id TEXT PRIMARY KEY, event TEXT NOT NULL, status TEXT NOT NULL); CREATE TABLE events (id TEXT PRIMARY KEY)`); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(os.Getenv("SMTP_ADDR"))
	if err != nil {
		return nil, err
	}
	p, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	client, err := mail.NewClient(host, mail.WithPort(p), mail.WithTLSPolicy(mail.NoTLS), mail.WithHELO("localhost"), mail.WithTimeout(30*time.Second))
	return &loop{js, db, client}, err
}

// handle does all that one event asks for.
func (l *loop) handle(ctx context.Context, m jetstream.Msg) error {
	subject := strings.Split(m.Subject(), ".")
	account, document := subject[2], subject[3]
	var e incoming
	if err := json.Unmarshal(m.Data(), &e); err != nil {
		return err
	}
	d, seen, err := l.store(ctx, document, e, m.Data())
	if err != nil || seen {
		return err
	}
	if e.Data.Status == "" {
		return l.send(ctx, document, "Please sign", d)
	}
	if err := l.send(ctx, document, "Signed", d); err != nil {
		return err
	}
	for _, o := range d.Data.Orders {
		data, err := json.Marshal(map[string]string{"document_sid": document, "order_sid": o.SID, "phone_number": o.Number})
		if err != nil {
			return err
		}
		if _, err := l.js.Publish(ctx, "authdocs.v1."+account+"."+document+".order."+o.SID+".register", data, jetstream.WithMsgID(o.SID)); err != nil {
			return err
		}
	}
	return nil
}

// store writes an event and returns the document as its created event has it. seen
// reports whether the event was stored before.
func (l *loop) store(ctx context.Context, document string, e incoming, data []byte) (d incoming, seen bool, err error) {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return d, false, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM events WHERE id = ?`, e.ID).Scan(&n); err != nil || n > 0 {
		return d, n > 0, err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO events VALUES (?)`, e.ID); err != nil {
		return d, false, err
	}
	if e.Data.Status == "" {
		if _, err := tx.ExecContext(ctx, `INSERT INTO documents VALUES (?, ?, 'created')`, document, data); err != nil {
			return d, false, err
		}
		return e, false, tx.Commit()
	}
	var created []byte
	if err := tx.QueryRowContext(ctx, `SELECT event FROM documents WHERE id = ?`, document).Scan(&created); err != nil {
		return d, false, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE documents SET status = ? WHERE id = ?`, e.Data.Status, document); err != nil {
		return d, false, err
	}
	if err := json.Unmarshal(created, &d); err != nil {
		return d, false, err
	}
	return d, false, tx.Commit()
}

// send sends an email to the signer and each cc, over one connection.
func (l *loop) send(ctx context.Context, document, title string, d incoming) error {
	var all []*mail.Msg
	for _, to := range append([]string{d.Data.Email}, d.Data.CC...) {
		m, err := letter(document, title, to, d)
		if err != nil {
			return err
		}
		all = append(all, m)
	}
	return l.mail.DialAndSendWithContext(ctx, all...)
}
