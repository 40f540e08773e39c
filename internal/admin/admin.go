// Package admin serves what operators and their machines ask: health,
// readiness and metrics. It is meant for a listener that the public cannot
// reach.
package admin

import (
	"context"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"countersign/db"
)

// Store has the numbers; *db.Store is one.
type Store interface {
	Counts(ctx context.Context, now time.Time) (db.Counts, error)
	CountDeliveries(ctx context.Context) (map[string]db.DeliveryCount, error)
}

// LogState is the state of the log and of the connection to it.
type LogState struct {
	Connected  bool
	Last       uint64    // sequence of the last entry on the log, as far as is known
	Reconnects uint64    // since the program started
	Foreign    uint64    // entries of others on subjects of Countersign, since then
	TakenIDs   uint64    // Nats-Msg-Ids that somebody else had used, since then
	Now        time.Time // the log's time; zero while the log has not been opened

	Offset      time.Duration // how far this machine's clock is ahead of the log's; negative if it is behind
	OffsetKnown bool
}

// asJSON reports whether a request wants JSON.
func asJSON(r *http.Request) bool {
	if format := r.URL.Query().Get("format"); format != "" {
		return format == "json"
	}
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}

// readyz shows the checks: 200 if none fails, else 503.
func readyz(w http.ResponseWriter, r *http.Request, states []State) {
	status, word := http.StatusOK, "ready"
	if !ready(states) {
		status, word = http.StatusServiceUnavailable, "not ready"
	}
	if asJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(struct { // the client may have left
			Ready  bool    `json:"ready"`
			Checks []State `json:"checks"`
		}{status == http.StatusOK, states})
		return
	}
	lines := []string{word}
	for _, s := range states {
		lines = append(lines, s.String())
	}
	plain(w, status, lines...)
}

// Extra is what other packages add.
type Extra struct {
	Collectors  []prometheus.Collector // more metrics
	Path, Title string                 // a page for the index, mounted beside this handler; empty for none
}

// Handler serves /metrics, /healthz, /readyz and an index at /. state is asked
// at every request; checks must run.
func Handler(s Store, state func() LogState, checks *Checks, logger *slog.Logger, extra Extra) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&metrics{s, state, logger}, checks)
	registry.MustRegister(extra.Collectors...)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		readyz(w, r, checks.States())
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := index.Execute(w, extra); err != nil {
			logger.Debug("the index was not written", "err", err)
		}
	})
	return mux
}

func plain(w http.ResponseWriter, status int, lines ...string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	for _, line := range lines {
		w.Write([]byte(line + "\n")) // a client that has gone needs no answer
	}
}

var index = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>Countersign</title><style>body{font:16px/1.6 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}</style>
<h1>Countersign</h1><ul>{{with .Path}}<li><a href="{{.}}">{{$.Title}}</a></li>{{end}}
<li><a href="/metrics">Metrics</a></li><li><a href="/readyz">Readiness</a></li><li><a href="/healthz">Health</a></li></ul></html>
`))
