package admin

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"countersign/workflow"
)

// metrics collects from the store at every scrape. Names and units follow
// Prometheus's conventions.
type metrics struct {
	store  Store
	state  func() LogState
	logger *slog.Logger
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("countersign_"+name, help, labels, nil)
}

var (
	connected   = desc("nats_connected", "1 while there is a connection to NATS.")
	foreign     = desc("foreign_entries_total", "Entries read since the start that somebody else has put on Countersign's own subjects. They are ignored; see docs/security.md.")
	takenIDs    = desc("message_ids_taken_total", "Events appended again since the start because somebody else had used their Nats-Msg-Id.")
	reconnects  = desc("nats_reconnects_total", "Reconnections to NATS since the start.")
	logLast     = desc("log_last_sequence", "Sequence of the last entry on the log.")
	applied     = desc("applied_sequence", "Sequence of the last entry applied to the database.")
	lag         = desc("follower_lag_entries", "Entries on the log that are not applied yet.")
	entries     = desc("entries_applied_total", "Entries applied since the start.")
	duplicates  = desc("entries_duplicate_total", "Entries since the start whose identity had been applied before.")
	waitingFor  = desc("documents_waiting", "Documents that are not sent, because their letters lack something that they must name.", "for")
	documents   = desc("documents", "Documents by status.", "status")
	mails       = desc("mails", "Emails by kind and state.", "kind", "state")
	doubt       = desc("mails_in_doubt", "Emails whose outcome was lost at least once.")
	depth       = desc("outbox_depth", "Pending emails, events and deliveries, by channel (mail, event, delivery).", "channel")
	oldest      = desc("outbox_oldest_seconds", "Age of the oldest pending email, event or delivery, by channel; 0 if none is pending.", "channel")
	registers   = desc("register_events", "Register events on the log.")
	deadLetters = desc("dead_letters", "Events kept as dead letters.")
	openLetters = desc("dead_letters_open", "Dead letters that nobody has sent again or discarded.")
	refused     = desc("refused_events", "Events that were refused, by code.", "code")
	parkedNow   = desc("parked_events", "Events that wait for the event that they depend on.")
	offset      = desc("clock_offset_seconds", "How far this machine's clock is ahead of the log's, negative if it is behind; missing until the log has been heard.")
	deadHooks   = desc("deliveries_dead", "Deliveries that were given up, and that nobody has redriven, by receiver.", "receiver")
	hooks       = desc("deliveries_pending", "Pending deliveries, by receiver: the webhook, or account and host of a callback.", "receiver")
	active      = desc("active", "1 if this worker made the last claim, or nobody has.")
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		connected, foreign, takenIDs, reconnects, logLast, applied, lag, entries, duplicates, documents, mails, doubt, depth, oldest,
		registers, deadLetters, openLetters, refused, parkedNow, waitingFor, offset, active, hooks, deadHooks,
	} {
		ch <- d
	}
}

// scrapeTime bounds the time of a scrape.
const scrapeTime = 5 * time.Second

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	l := m.state()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(connected, one(l.Connected))
	counter(reconnects, l.Reconnects)
	counter(foreign, l.Foreign)
	counter(takenIDs, l.TakenIDs)
	gauge(logLast, float64(l.Last))
	if l.OffsetKnown {
		gauge(offset, l.Offset.Seconds())
	}
	c, err := m.store.Counts(ctx, l.Now)
	if err != nil {
		m.logger.Error("metrics that are read from the database are missing from this scrape", "err", err)
		return
	}
	p := c.Position
	gauge(applied, float64(p.Sequence))
	gauge(lag, float64(max(l.Last, p.Sequence)-p.Sequence))
	gauge(active, one(p.Active()))
	counter(entries, c.Applied)
	counter(duplicates, c.Duplicates)
	for _, s := range workflow.Statuses {
		gauge(documents, float64(c.Documents[s]), string(s))
	}
	for _, kind := range workflow.MailKinds {
		for _, state := range workflow.MailStates {
			gauge(mails, float64(c.Mails[kind][state]), string(kind), string(state))
		}
	}
	gauge(doubt, float64(c.InDoubt))
	gauge(depth, float64(c.PendingMails), "mail")
	gauge(depth, float64(c.PendingEvents), "event")
	gauge(oldest, age(l.Now, c.OldestMail), "mail")
	gauge(oldest, age(l.Now, c.OldestEvent), "event")
	gauge(registers, float64(c.Registers))
	gauge(deadLetters, float64(c.DeadLetters))
	gauge(openLetters, float64(c.OpenDeadLetters))
	for code, n := range c.Refused {
		gauge(refused, float64(n), string(code))
	}
	gauge(parkedNow, float64(c.Parked))
	for _, p := range workflow.LetterParts {
		gauge(waitingFor, float64(c.Waiting[p]), string(p))
	}
	m.collectDeliveries(ctx, gauge, l.Now)
}

// collectDeliveries collects what is not delivered. What receivers there are is
// known from the database only.
func (m *metrics) collectDeliveries(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string), now time.Time) {
	counts, err := m.store.CountDeliveries(ctx)
	if err != nil {
		m.logger.Error("metrics of deliveries are missing from this scrape", "err", err)
		return
	}
	pending, first := 0, time.Time{}
	for receiver, c := range counts {
		gauge(hooks, float64(c.Pending), receiver)
		gauge(deadHooks, float64(c.Dead), receiver)
		pending += c.Pending
		if !c.Oldest.IsZero() && (first.IsZero() || c.Oldest.Before(first)) {
			first = c.Oldest
		}
	}
	gauge(depth, float64(pending), "delivery")
	gauge(oldest, age(now, first), "delivery")
}

// Deliveries counts the outcomes of deliveries by receiver, since the start.
type Deliveries struct{ *prometheus.CounterVec }

// NewDeliveries makes the counter.
func NewDeliveries() *Deliveries {
	return &Deliveries{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "countersign_deliveries_total",
		Help: "Tries of deliveries since the start, by receiver (the webhook, or account and host of a callback) and result (delivered, failed).",
	}, []string{"receiver", "result"})}
}

// Count counts the result of one try.
func (d *Deliveries) Count(receiver string, r workflow.DeliveryResult) {
	d.WithLabelValues(receiver, string(r)).Inc()
}

// MailServer is the metric of a mail server that keeps all emails waiting.
// trouble is called at every scrape, and returns for how long it has done so; 0
// if it accepts emails.
func MailServer(trouble func() time.Duration) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "countersign_mail_server_refuses_since_seconds",
		Help: "How long the mail server has refused all mails or been away, as met by this worker's tries; 0 while it takes mails.",
	}, func() float64 { return trouble().Seconds() })
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func age(now, since time.Time) float64 {
	if since.IsZero() || now.Before(since) {
		return 0
	}
	return now.Sub(since).Seconds()
}
