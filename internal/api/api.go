// Package api serves the REST API for Authorization Documents and Hosted Number
// Orders that Twilio's client libraries speak, in both generations: preview, below
// /HostedNumbers, and v2, below /v2/HostedNumber. It has the addresses of the API
// of 2010, too, below /2010-04-01/Accounts.
//
// A write becomes an event on the log, and is answered from this worker's
// database once its follower has applied the event. A read costs one indexed
// query and writes nothing. Every answer except the empty one to a DELETE is
// JSON, including errors for all paths and methods. Nothing is ever redirected,
// because the clients take a redirect for success.
package api

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"countersign/db"
	"countersign/events"
	"countersign/internal/httpd"
	"countersign/internal/ratelimit"
	"countersign/workflow"
)

// Documents reads documents; *db.Store is one.
type Documents interface {
	// Document returns workflow.ErrNotFound if no event has created it.
	Document(ctx context.Context, sid workflow.SID) (workflow.Document, error)

	// Page returns workflow.ErrNotFound if q begins at a document that the account
	// does not have.
	Page(ctx context.Context, q db.PageQuery) ([]db.Listed, error)

	// AskedBefore returns the time of the n-th newest email by which the account
	// asked one person to sign after since; zero if there are fewer.
	AskedBefore(ctx context.Context, account workflow.SID, email string, n int, since time.Time) (time.Time, error)

	// Refusal returns why an event that was applied was refused, nil if it was
	// not. The same event may have been refused at an earlier entry.
	Refusal(ctx context.Context, of workflow.Identity) (*workflow.Problem, error)
}

// Orders reads Hosted Number Orders; *db.Store is one.
type Orders interface {
	// Order returns workflow.ErrNotFound if the account has no such order.
	Order(ctx context.Context, account, sid workflow.SID) (workflow.HostedOrder, error)

	// Orders returns workflow.ErrNotFound if q begins at an order that the account
	// does not have.
	Orders(ctx context.Context, q db.OrderQuery) ([]workflow.HostedOrder, error)

	// DependentOrders returns the orders of a document, in the document's sequence.
	// Of an order that its account has not created, it is what the document says.
	DependentOrders(ctx context.Context, d workflow.Document) ([]workflow.HostedOrder, error)
}

// Addresses reads addresses; *db.Store is one.
type Addresses interface {
	// Address returns workflow.ErrNotFound if the account has no such address.
	Address(ctx context.Context, account, sid workflow.SID) (workflow.Address, error)

	// Addresses returns workflow.ErrNotFound if q begins at an address that the
	// account does not have.
	Addresses(ctx context.Context, q db.AddressQuery) ([]workflow.Address, error)
}

// Progress tells how far this worker's database has followed the log; *db.Store
// implements it.
type Progress interface {
	Position() db.Position
	WaitApplied(ctx context.Context, sequence uint64) error

	// DocumentChanged returns a channel that is closed when the document is next
	// changed or erased, until forget is called.
	DocumentChanged(sid workflow.SID) (changed <-chan struct{}, forget func())
}

// Log appends events; *eventlog.Log is one. Append tries until ctx ends. It fails
// with workflow.ErrUnavailable if the event may be on the log or not, and with a
// *workflow.Problem if it is no valid event.
type Log interface {
	Append(ctx context.Context, e events.Event) (sequence uint64, err error)

	// Hurry says that a client waits for what the log will show, until done is called.
	Hurry() (done func())
}

// Accounts authenticates the users of the API.
type Accounts interface {
	// Authenticate returns the account that a user name (an account's or an API
	// key's sid) and a secret belong to, workflow.ErrNotFound if they belong to
	// none. Any other error counts as temporary.
	Authenticate(user, secret string) (workflow.SID, error)
}

// Keys are the keys that the workers on one log share; *ticket.File implements
// it.
type Keys interface {
	// MACs returns a message authentication code of the data for each key, the
	// newest key first. Nobody without the keys can predict it.
	MACs(data []byte) [][]byte
}

// Config is what the API needs. A wait of 0 has the default given with it.
type Config struct {
	Documents Documents
	Orders    Orders
	Addresses Addresses
	Progress  Progress
	Log       Log
	Accounts  Accounts
	Keys      Keys
	PublicURL string           // origin of every URL in an answer, without a slash at its end
	Now       func() time.Time // for the limits, and for the time in new sids
	Random    io.Reader        // for new sids; crypto/rand.Reader
	Logger    *slog.Logger
	Metrics   *Metrics // nil: nothing is counted

	// Proxies are the peers whose X-Forwarded-For says where a request comes
	// from; the header of any other peer is ignored.
	Proxies []netip.Prefix

	AppendWait   time.Duration // for the log to take an event, and as long again to read it back: 4 s, 2 s
	SigningWait  time.Duration // for the mail server to accept a signature email: 3 s
	SequenceWait time.Duration // for X-Min-Log-Sequence: 2 s

	AccountRate float64 // requests per second of one account, burst twice as many; 0: no limit
	AddressRate float64 // requests per second from one address, burst twice as many; 0: no limit

	// OnlyKnown refuses documents whose orders or address the account has not
	// created. Otherwise events may create them later.
	OnlyKnown bool

	RecipientDay int // emails in 24 hours by which an account may ask one person to sign; 0: no limit
}

const (
	defaultAppendWait   = 4 * time.Second
	defaultSigningWait  = 3 * time.Second
	defaultSequenceWait = 2 * time.Second
)

type handler struct {
	Config
	accounts  *ratelimit.Limiter
	addresses *ratelimit.Limiter
	failures  *ratelimit.Limiter // failed authentications of an address
	slowed    chan struct{}      // one for each answer that is being held back
	asking    asking             // requests in progress that ask somebody to sign
	forms     *httpd.Forms
}

// How much memory forms may take at once. Further forms wait, and then get a 503.
// A form takes about four times its length while it is read and parsed: 64 MiB in
// all.
const (
	allForms       = 16 << 20 // bytes
	formsOfAccount = 2 << 20  // of one account
	formWait       = 2 * time.Second
)

// New makes the handler. It answers every path; if the API does not have the
// path, with a 404 that clients can read.
func New(c Config) http.Handler {
	c.AppendWait = cmp.Or(c.AppendWait, defaultAppendWait)
	c.SigningWait = cmp.Or(c.SigningWait, defaultSigningWait)
	c.SequenceWait = cmp.Or(c.SequenceWait, defaultSequenceWait)
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	if c.Metrics == nil {
		c.Metrics = NewMetrics()
	}
	return &handler{
		Config:    c,
		accounts:  ratelimit.New(c.AccountRate, 2*c.AccountRate),
		addresses: ratelimit.New(c.AddressRate, 2*c.AddressRate),
		failures:  ratelimit.New(failureRate, 1),
		slowed:    make(chan struct{}, maxSlowed),
		forms:     httpd.NewForms(allForms, formsOfAccount, maxBody, formWait),
	}
}
