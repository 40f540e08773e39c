// Package admin serves what operators and their machines ask: health,
// readiness and metrics. It is meant for a listener that the public cannot
// reach.
package admin

import (
	"context"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"countersign/db"
)

// Store is where the numbers come from; *db.Store is one.
type Store interface {
	Counts(ctx context.Context, now time.Time) (db.Counts, error)
	Position() db.Position
}

// LogState is how the log fares.
type LogState struct {
	Connected  bool
	Last       uint64    // sequence of the last entry on the log, as far as is known
	Reconnects uint64    // since the program started
	Foreign    uint64    // entries of somebody else on subjects of Countersign's own, since then
	TakenIDs   uint64    // Nats-Msg-Ids that somebody else had used, since then
	Now        time.Time // the log's time; zero while the log has not been opened
}

// Ready says why the worker is not ready, or nil. Reads and follows count; the
// mail server does not: mails wait for it.
func Ready(ctx context.Context, s Store, l LogState) (reasons []string) {
	if !l.Connected {
		reasons = append(reasons, "not connected to NATS")
	}
	if l.Now.IsZero() {
		return append(reasons, "the log has not been opened yet")
	}
	if applied := s.Position().Sequence; applied+maxLag < l.Last {
		reasons = append(reasons, "the follower is catching up with the log")
	}
	if _, err := s.Counts(ctx, l.Now); err != nil {
		reasons = append(reasons, "the database cannot be read: "+err.Error())
	}
	return reasons
}

// maxLag is how many entries a ready worker may be behind.
const maxLag = 1000

// Extra is what other rooms add.
type Extra struct {
	Collectors  []prometheus.Collector // more metrics
	Notes       func() []string        // lines for /readyz that do not make the worker unready; may be nil
	Path, Title string                 // a page for the index, mounted beside this handler; empty for none
}

// Handler serves /metrics, /healthz, /readyz and an index at /. state is asked
// at every request.
func Handler(s Store, state func() LogState, logger *slog.Logger, extra Extra) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&metrics{s, state, logger})
	registry.MustRegister(extra.Collectors...)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		reasons := Ready(r.Context(), s, state())
		var notes []string
		if extra.Notes != nil {
			notes = extra.Notes()
		}
		if len(reasons) == 0 {
			plain(w, http.StatusOK, append([]string{"ready"}, notes...)...)
			return
		}
		plain(w, http.StatusServiceUnavailable, append(reasons, notes...)...)
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
