package relay

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"countersign/db"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// Receivers carries out deliveries.
type Receivers interface {
	// Ready fails while deliveries cannot be signed; then none is claimed.
	Ready() error

	// Deliver makes one try, and returns what happened. It ends by itself. w is
	// the webhook, and empty for a callback.
	Deliver(ctx context.Context, x workflow.Delivery, w workflow.Webhook) workflow.DeliveryOutcome
}

// Deliveries carries out the deliveries that are pending in the store: it claims
// them on the log, lets Receivers carry them out, and appends the outcomes to the
// log. Each receiver has places of its own, so that a slow one delays no other.
type Deliveries struct {
	Store     *db.Store
	Log       *eventlog.Log
	Receivers Receivers
	Each      int           // how many deliveries to one receiver may be in flight
	Deadline  time.Duration // after a claim of which no outcome is known, its deliveries may be claimed again; longer than a try takes
	Logger    *slog.Logger
	Name      string                                           // of this run, in the ids of its claims; random if it is empty
	Count     func(receiver string, r workflow.DeliveryResult) // is told of each outcome; nil for nobody

	name    string
	claims  int                  // for the ids of claims
	settles int                  // for the ids of outcomes
	last    uint64               // the last claim on the log, if it is known beyond the store
	seen    map[uint64]time.Time // when an open claim was seen first, by the own monotonic clock
	unready string               // what Ready said last
	freed   chan struct{}        // a delivery is no longer in flight
	results chan deliveryResult

	mu      sync.Mutex
	flying  map[string]int  // deliveries in flight, by receiver
	failing map[string]bool // receivers whose last try failed: they have one place
	open    map[uint64]int  // deliveries of our claims that have no outcome yet
}

// mostInFlight bounds the deliveries in flight to all receivers.
const mostInFlight = 2048

// deliveryResult is the outcome of a delivery on its way to the log.
type deliveryResult struct {
	claim   uint64
	outcome workflow.DeliveryOutcome
}

// Run claims and delivers until ctx ends. Then it finishes the tries that have
// begun, appends their outcomes, and returns nil.
func (r *Deliveries) Run(ctx context.Context) error {
	r.name = r.Store.Position().Worker + "." + cmp.Or(r.Name, rand.Text()[:8])
	r.seen, r.freed, r.results = map[uint64]time.Time{}, make(chan struct{}, 1), make(chan deliveryResult, mostInFlight)
	r.flying, r.failing, r.open = map[string]int{}, map[string]bool{}, map[uint64]int{}
	var tries, settling sync.WaitGroup
	settling.Go(func() { r.settle(ctx) })
	patient := patience(r.name)
	for ctx.Err() == nil {
		changed := r.Store.DeliveriesChanged()
		wait, err := r.step(ctx, &tries, patient)
		if err != nil && ctx.Err() == nil {
			r.Logger.Warn("pending deliveries wait: the next try is in a second", "err", err)
			wait = time.Second
		}
		if wait <= 0 {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-r.freed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	tries.Wait()
	close(r.results)
	settling.Wait()
	return nil
}

// step claims once, if there is something to claim and it is this worker's turn.
// It returns how long to wait before the next step.
func (r *Deliveries) step(ctx context.Context, tries *sync.WaitGroup, patient time.Duration) (time.Duration, error) {
	// Read before looking for due deliveries: a claim that is applied after the
	// look may have taken the same ones.
	known := max(r.last, r.Store.Position().HookClaim)
	ids, wait, err := r.abandoned(ctx)
	if err != nil {
		return 0, err
	}
	now := r.Log.Now()
	if !r.Store.Position().Delivers() {
		now = now.Add(-patient)
	}
	due, next, err := r.due(ctx, now)
	if err != nil {
		return 0, err
	}
	if ids = append(ids, due...); len(ids) == 0 {
		return min(wait, next), nil
	}
	if !r.ready() {
		return idle, nil
	}
	return 0, r.claim(ctx, ids, known, tries)
}

// ready reports whether deliveries can be signed, and logs it when that changes.
func (r *Deliveries) ready() bool {
	now := ""
	if err := r.Receivers.Ready(); err != nil {
		now = err.Error()
		if now != r.unready {
			r.Logger.Error("webhooks cannot be signed; deliveries wait", "err", err)
		}
	}
	r.unready = now
	return now == ""
}

// due lists due deliveries of the receivers that have places, and returns how long
// to wait for the next.
func (r *Deliveries) due(ctx context.Context, now time.Time) (ids []workflow.DeliveryID, wait time.Duration, err error) {
	receivers, err := r.Store.DueReceivers(ctx)
	wait = idle
	room := mostInFlight - r.inFlight()
	for receiver, at := range receivers {
		if left := at.Sub(now); left > 0 {
			wait = min(wait, left+time.Millisecond)
			continue
		}
		places := min(r.places(receiver), room, claimMost-len(ids))
		if places <= 0 || err != nil {
			continue
		}
		var some []workflow.DeliveryID
		some, err = r.Store.DueDeliveries(ctx, receiver, now, places)
		room -= len(some)
		ids = append(ids, some...)
	}
	return ids, wait, err
}

// abandoned lists the deliveries of claims that have had no outcome for the
// deadline: they are claimed again. It returns how long to wait for the next.
func (r *Deliveries) abandoned(ctx context.Context) ([]workflow.DeliveryID, time.Duration, error) {
	open, err := r.Store.OpenDeliveryClaims(ctx)
	if err != nil {
		return nil, 0, err
	}
	wait, seen := idle, make(map[uint64]time.Time, len(open))
	var ids []workflow.DeliveryID
	for _, seq := range open {
		if seen[seq] = r.seen[seq]; seen[seq].IsZero() {
			seen[seq] = time.Now()
		}
		left := time.Until(seen[seq].Add(r.Deadline))
		if !r.Store.Position().Delivers() {
			left += overdue
		}
		if r.ours(seq) {
			continue
		}
		if left > 0 {
			wait = min(wait, left)
			continue
		}
		again, err := r.Store.ClaimedDeliveries(ctx, seq)
		if err != nil {
			return nil, 0, err
		}
		for _, x := range again {
			ids = append(ids, x.ID)
		}
	}
	r.seen = seen
	return ids[:min(len(ids), claimMost)], wait, nil
}

// claim appends a claim of the deliveries, if no worker has claimed since known,
// and begins them.
func (r *Deliveries) claim(ctx context.Context, ids []workflow.DeliveryID, known uint64, tries *sync.WaitGroup) error {
	r.claims++
	start := time.Now()
	wall := start.Round(0)
	live, cancel := outlive(ctx, r.Deadline)
	defer cancel()
	body := workflow.DeliveriesClaimed{Worker: r.Store.Position().Worker, Deliveries: ids}
	seq, err := r.Log.Claim(live, eventlog.DeliveriesClaimed(fmt.Sprintf("%s.deliveries.%d", r.name, r.claims), r.Log.Now(), body), known)
	if errors.Is(err, workflow.ErrConflict) {
		return r.lost(live, known)
	}
	if err != nil {
		return err
	}
	r.last = seq
	r.land(seq, -1) // the claim is ours until its deliveries are known
	defer r.land(seq, 1)
	if err := applied(context.WithoutCancel(ctx), r.Store, seq, r.Deadline/4); err != nil {
		return err
	}
	taken, err := r.Store.ClaimedDeliveries(live, seq)
	if err != nil {
		return err
	}
	webhooks, err := r.webhooks(live)
	if err != nil {
		return err
	}
	// If the machine slept, another worker may have claimed them since.
	late := max(time.Since(start), time.Now().Round(0).Sub(wall)) > r.Deadline/4
	for _, x := range taken {
		r.land(seq, -1)
		w, known := webhooks[x.Receiver]
		if late || ctx.Err() != nil || !known && x.URL == "" {
			r.results <- deliveryResult{seq, workflow.DeliveryOutcome{Delivery: x.ID, Result: workflow.DeliveryReleased}}
			continue
		}
		r.begin(x.Receiver)
		tries.Go(func() { r.try(ctx, seq, x, w) })
	}
	return nil
}

// try carries out one delivery.
func (r *Deliveries) try(ctx context.Context, claim uint64, x workflow.Delivery, w workflow.Webhook) {
	live, cancel := outlive(ctx, r.Deadline/2)
	defer cancel()
	o := r.Receivers.Deliver(live, x, w)
	if o.Code == http.StatusGone && x.URL == "" {
		r.disable(live, w)
	}
	if r.Count != nil {
		r.Count(x.Receiver, o.Result)
	}
	r.end(x.Receiver, o.Result == workflow.DeliveryFailed)
	r.results <- deliveryResult{claim, o}
}

// disable disables a webhook whose receiver says that it is gone for good (410,
// RFC 9110, section 15.5.11), unless it has been set since.
func (r *Deliveries) disable(ctx context.Context, w workflow.Webhook) {
	next := w.WebhookSet
	next.Status, next.Reason = workflow.WebhookDisabled, "the receiver answered 410 Gone"
	e := eventlog.WebhookSet(fmt.Sprintf("%s.gone.%d", w.SID, w.Sequence), r.Log.Now(), next)
	switch _, err := r.Log.Claim(ctx, e, w.Sequence); {
	case err == nil:
		r.Logger.Warn("a webhook is disabled: its receiver answered 410 Gone", "webhook", w.SID, "account", w.AccountSID)
	case !errors.Is(err, workflow.ErrConflict):
		r.Logger.Warn("a webhook is gone and could not be disabled; the next try does it", "webhook", w.SID, "err", err)
	}
}

func (r *Deliveries) webhooks(ctx context.Context) (map[string]workflow.Webhook, error) {
	all, err := r.Store.Webhooks(ctx, "")
	by := make(map[string]workflow.Webhook, len(all))
	for _, w := range all {
		by[string(w.SID)] = w
	}
	return by, err
}

// lost finds out which claim is the last one.
func (r *Deliveries) lost(ctx context.Context, known uint64) error {
	last, err := r.Log.LastDeliveryClaim(ctx)
	if err != nil {
		return err
	}
	r.last = last
	if last < known {
		return fmt.Errorf("%w: claim %d is not on the log any more, the last is %d", workflow.ErrUnavailable, known, last)
	}
	return applied(ctx, r.Store, last, r.Deadline)
}

// settle appends outcomes as they come, those that have come together in one
// event for each claim, until results is closed.
func (r *Deliveries) settle(ctx context.Context) {
	var applying sync.WaitGroup
	defer applying.Wait()
	for first := range r.results {
		outcomes := map[uint64][]workflow.DeliveryOutcome{first.claim: {first.outcome}}
		for more := true; more; {
			select {
			case next, ok := <-r.results:
				if more = ok; ok {
					outcomes[next.claim] = append(outcomes[next.claim], next.outcome)
				}
			default:
				more = false
			}
		}
		for _, claim := range slices.Sorted(maps.Keys(outcomes)) {
			some := outcomes[claim]
			seq := r.append(ctx, claim, some)
			applying.Go(func() {
				// Until the entry is applied, these deliveries are claimed in the
				// store. A log that loses its tail may never show the outcome.
				wait, cancel := context.WithTimeout(ctx, r.Deadline)
				defer cancel()
				_ = r.Store.WaitApplied(wait, seq)
				r.land(claim, len(some))
			})
		}
	}
}

// append appends outcomes to the log and returns the entry's sequence. After the
// end of ctx it retries for at most the deadline.
func (r *Deliveries) append(ctx context.Context, claim uint64, outcomes []workflow.DeliveryOutcome) uint64 {
	live, cancel := outlive(ctx, r.Deadline)
	defer cancel()
	r.settles++
	body := workflow.DeliveriesSettled{Worker: r.Store.Position().Worker, Claim: claim, Outcomes: outcomes}
	seq, err := r.Log.Append(live, eventlog.DeliveriesSettled(fmt.Sprintf("%s.delivered.%d", r.name, r.settles), r.Log.Now(), body))
	if err != nil {
		r.Logger.Error("the outcomes of deliveries could not be recorded: they may be delivered twice", "claim", claim, "deliveries", len(outcomes), "err", err)
	}
	return seq
}
