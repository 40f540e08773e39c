package api_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"countersign/db"
	"countersign/internal/api"
	"countersign/workflow"
)

const dependents = "/DependentHostedNumberOrders"

// metered counts what is read from a store.
type metered struct {
	*db.Store
	reads atomic.Int64
}

func (c *metered) Document(ctx context.Context, sid workflow.SID) (workflow.Document, error) {
	c.reads.Add(1)
	return c.Store.Document(ctx, sid)
}

func (c *metered) Page(ctx context.Context, q db.PageQuery) ([]db.Listed, error) {
	c.reads.Add(1)
	return c.Store.Page(ctx, q)
}

func (c *metered) Order(ctx context.Context, account, sid workflow.SID) (workflow.HostedOrder, error) {
	c.reads.Add(1)
	return c.Store.Order(ctx, account, sid)
}

func (c *metered) Orders(ctx context.Context, q db.OrderQuery) ([]workflow.HostedOrder, error) {
	c.reads.Add(1)
	return c.Store.Orders(ctx, q)
}

func (c *metered) DependentOrders(ctx context.Context, d workflow.Document) ([]workflow.HostedOrder, error) {
	c.reads.Add(1)
	return c.Store.DependentOrders(ctx, d)
}

func (c *metered) Address(ctx context.Context, account, sid workflow.SID) (workflow.Address, error) {
	c.reads.Add(1)
	return c.Store.Address(ctx, account, sid)
}

func (c *metered) Addresses(ctx context.Context, q db.AddressQuery) ([]workflow.Address, error) {
	c.reads.Add(1)
	return c.Store.Addresses(ctx, q)
}

func (c *metered) Refusal(ctx context.Context, of workflow.Identity) (*workflow.Problem, error) {
	c.reads.Add(1)
	return c.Store.Refusal(ctx, of)
}

// TestFetch_IsOneReadAndNoWrite counts what GETs cost: each one read, dependents one
// for the document and one for its orders, and nothing is written, neither to the
// database nor to the log.
func TestFetch_IsOneReadAndNoWrite(t *testing.T) {
	s := newSite(t)
	u := s.user()
	sids := s.upstream(u, 5, nil)
	order := u.ordered()
	waitFor(t, "rest", func() bool {
		c, err := s.store.Counts(t.Context(), s.log.Now())
		return err == nil && c.PendingEvents == 0
	})
	store := &metered{Store: s.store}
	_, u.url = s.serve(s.store, func(c *api.Config) { c.Documents, c.Orders, c.Addresses = store, store, store })
	file, err := sql.Open("sqlite3", "file:"+filepath.Join(s.dir, db.FileName)+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.SetMaxOpenConns(1) // data_version is a connection's own
	written := func() (version, entry uint64) {
		t.Helper()
		if err := file.QueryRow("PRAGMA data_version").Scan(&version); err != nil {
			t.Fatal(err)
		}
		if entry, err = s.log.Tail(t.Context()); err != nil {
			t.Fatal(err)
		}
		return version, entry
	}
	version, entry := written()
	one := previewPath + "/" + string(sids[2])
	for _, path := range []string{
		one, one + dependents, previewPath, previewPath + "?PageSize=2&Page=1&PageToken=PA" + string(sids[3]),
		v2Path + "?Email=owner%40example.com&Status=opened", v2Path + "?Status=signed",
		previewOrders + "/" + string(order.sid()), v2Orders + "?PageSize=1&Status=received&SmsCapability=true", u.addresses(workflow.SID(order.str("address_sid"))),
		u.addresses() + "?FriendlyName=Office",
	} {
		want := int64(1)
		if strings.HasSuffix(path, dependents) {
			want = 2
		}
		before := store.reads.Load()
		u.want(u.get(path), 200, 0)
		if n := store.reads.Load() - before; n != want {
			t.Errorf("%s: %d reads", path, n)
		}
	}
	if v, e := written(); v != version || e != entry {
		t.Errorf("data version %d was %d, last entry %d was %d", v, version, e, entry)
	}
}
