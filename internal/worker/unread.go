package worker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"countersign/internal/eventlog"
)

// unreadMeter is what /metrics shows of unread reports.
type unreadMeter struct{ count atomic.Int64 } // 0: not known yet; else one more than there are

var descUnread = prometheus.NewDesc("countersign_unread_reports", "Messages to the return path that could not be read and are not discarded.", nil, nil)

// Describe implements prometheus.Collector.
func (m *unreadMeter) Describe(ch chan<- *prometheus.Desc) { ch <- descUnread }

// Collect implements prometheus.Collector.
func (m *unreadMeter) Collect(ch chan<- prometheus.Metric) {
	if n := m.count.Load(); n > 0 {
		ch <- prometheus.MustNewConstMetric(descUnread, prometheus.GaugeValue, float64(n-1))
	}
}

// unreadEvery is how often unread reports are counted.
const unreadEvery = 10 * time.Second

// watchUnread makes the stream of unread reports, and counts them until ctx
// ends.
func (w *Worker) watchUnread(ctx context.Context) {
	tick := time.NewTicker(unreadEvery)
	defer tick.Stop()
	warned := false
	for {
		err := eventlog.OpenUnread(ctx, w.nc, w.cfg.Replicas)
		var n uint64
		if err == nil {
			n, err = eventlog.CountUnread(ctx, w.nc)
		}
		switch {
		case err == nil:
			w.unread.count.Store(int64(n) + 1)
			warned = false
		case ctx.Err() == nil && !warned:
			w.logger.Warn("unread reports cannot be counted; countersign bounce cannot keep what it does not understand", "err", err)
			warned = true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
