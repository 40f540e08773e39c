package api

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the API does. It is a prometheus.Collector, to be
// registered by whoever serves it.
type Metrics struct {
	requests *prometheus.CounterVec
	failures prometheus.Counter
	limited  *prometheus.CounterVec
}

// NewMetrics makes metrics that are 0.
func NewMetrics() *Metrics {
	return &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_api_requests_total",
			Help: "Answered requests by generation, operation and HTTP status.",
		}, []string{"generation", "operation", "status"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "countersign_api_authentication_failures_total", Help: "Requests with wrong credentials.",
		}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_api_limited_total", Help: "Requests over a limit, by whose (account, address, failures).",
		}, []string{"limit"}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.requests.Describe(ch)
	m.failures.Describe(ch)
	m.limited.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.requests.Collect(ch)
	m.failures.Collect(ch)
	m.limited.Collect(ch)
}

func (m *Metrics) answered(r *request, status int) {
	generation, operation := "none", "none"
	if r.route != nil {
		generation = r.route.generation.name
	}
	if r.operation != nil {
		operation = r.operation.name
	}
	m.requests.WithLabelValues(generation, operation, strconv.Itoa(status)).Inc()
}
