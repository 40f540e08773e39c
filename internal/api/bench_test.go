package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/internal/api"
	"countersign/internal/relay"
	"countersign/internal/test/eventstest"
)

const clients = 16 // unless a benchmark says otherwise

// times are how long requests took, and all of them together.
type times struct {
	each  []time.Duration
	total time.Duration
	cpu   time.Duration // of this process, client and servers
}

// add adds the times of another part.
func (t *times) add(u times) {
	t.each, t.total, t.cpu = append(t.each, u.each...), t.total+u.total, t.cpu+u.cpu
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rate is requests per second.
func (t times) rate() float64 { return float64(len(t.each)) / t.total.Seconds() }

// at returns how long the given part of the requests took at most, in milliseconds.
func (t times) at(part float64) float64 {
	slices.Sort(t.each)
	return t.each[int(part*float64(len(t.each)-1))].Seconds() * 1e3
}

// load sends n requests from all clients at once.
func load(b *testing.B, clients, n int, send func() error) (t times) {
	b.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	t.each = make([]time.Duration, n)
	start, used := time.Now(), cpu(b)
	for range clients {
		group.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				began := time.Now()
				if err := send(); err != nil {
					b.Error(err)
					return
				}
				t.each[i-1] = time.Since(began)
			}
		})
	}
	group.Wait()
	t.total, t.cpu = time.Since(start), cpu(b)-used
	return t
}

// compare sends requests to the API and to a bare server in turn, five times, and
// reports the rate of both and their ratio.
func compare(b *testing.B, clients int, ours, bare func() error) {
	b.Helper()
	load(b, clients, clients, ours) // connects
	load(b, clients, clients, bare)
	var us, them times
	b.ResetTimer()
	for part := range 5 {
		n := max(clients, b.N*(part+1)/5-b.N*part/5)
		us.add(load(b, clients, n, ours))
		b.StopTimer()
		them.add(load(b, clients, n, bare))
		b.StartTimer()
	}
	b.StopTimer()
	b.ReportMetric(us.rate(), "req/s")
	b.ReportMetric(them.rate(), "bare/s")
	b.ReportMetric(us.rate()/them.rate(), "ratio")
	b.ReportMetric(us.cpu.Seconds()*1e6/float64(len(us.each)), "cpu-µs")
	b.ReportMetric(them.cpu.Seconds()*1e6/float64(len(them.each)), "bare-cpu-µs")
	b.ReportMetric(us.at(0.5), "p50-ms")
	b.ReportMetric(us.at(0.99), "p99-ms")
	b.ReportMetric(them.at(0.99), "bare-p99-ms")
}

// sender returns a function that sends one request and reads its answer to the end.
func (u *user) sender(method, at string, status int, body func() string) func() error {
	if !strings.HasPrefix(at, "http") {
		at = u.url + at
	}
	return func() error {
		r, err := http.NewRequest(method, at, strings.NewReader(body()))
		if err != nil {
			return err
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r.SetBasicAuth(u.name, u.secret)
		answer, err := u.client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode != status {
			err = fmt.Errorf("got %d, want %d: %s", answer.StatusCode, status, text)
		}
		return err
	}
}

func nothing() string { return "" }

// bare serves fixed answers: what net/http and its client cost by themselves. A POST
// is appended to a stream of its own on the same broker first.
func bare(b *testing.B, on *eventstest.Broker, answer string) string {
	b.Helper()
	js, err := jetstream.New(eventstest.Connect(b, on))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateOrUpdateStream(b.Context(), jetstream.StreamConfig{Name: "BARE", Subjects: []string{"bare.>"}}); err != nil {
		b.Fatal(err)
	}
	var number atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		if r.Method == http.MethodPost {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				_, err = js.PublishMsg(r.Context(), &nats.Msg{Subject: fmt.Sprintf("bare.%d.created", number.Add(1)), Data: body})
			}
			if status = http.StatusCreated; err != nil {
				status = http.StatusServiceUnavailable
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	b.Cleanup(server.Close)
	return server.URL + "/"
}

// BenchmarkHandler_Create creates documents by 16 clients or more. Each answer waits for the
// own database; that of a document that is "emailed" also waits until the mail
// server has accepted the signature email.
func BenchmarkHandler_Create(b *testing.B) {
	for _, c := range []struct {
		synced  bool
		emailed bool
		clients int
	}{{false, false, clients}, {false, true, clients}, {true, false, clients}, {true, true, clients}, {true, false, 128}} {
		b.Run(fmt.Sprintf("synced=%v/emailed=%v/clients=%d", c.synced, c.emailed, c.clients), func(b *testing.B) {
			var options []eventstest.Option
			if c.synced {
				options = append(options, eventstest.SyncAlways())
			}
			s := siteOn(b, eventstest.Server(b, options...), func(config *api.Config) {
				if config.SigningWait = time.Nanosecond; c.emailed {
					config.SigningWait = time.Minute
				}
			})
			if c.emailed {
				s.run((&relay.Events{Store: s.store, Log: s.log, Logger: eventstest.Logger()}).Run)
				s.run(s.mails().Run)
			}
			u := s.user()
			var number atomic.Int64
			body := func() string { // each has a signer of its own
				return form("Email", fmt.Sprintf("owner%d@example.com", number.Add(1))).Encode()
			}
			compare(b, c.clients, u.sender("POST", previewPath, http.StatusCreated, body),
				u.sender("POST", bare(b, s.nats, strings.Repeat("x", 600)), http.StatusCreated, body))
		})
	}
}

// BenchmarkHandler_Read lists 50 of 1,000 documents, and fetches one.
func BenchmarkHandler_Read(b *testing.B) {
	s := siteOn(b, eventstest.Server(b), func(c *api.Config) { c.SigningWait = time.Nanosecond })
	u := s.user()
	load(b, clients, 1000, u.sender("POST", previewPath, http.StatusCreated, func() string { return form().Encode() }))
	list := u.get(previewPath)
	for name, read := range map[string]struct{ path, answer string }{
		"list":  {previewPath, list.raw},
		"fetch": {previewPath + "/" + string(list.sids()[0]), ""},
	} {
		if read.answer == "" {
			read.answer = u.get(read.path).raw
		}
		b.Run(name, func(b *testing.B) {
			compare(b, clients, u.sender("GET", read.path, http.StatusOK, nothing), u.sender("GET", bare(b, s.nats, read.answer), http.StatusOK, nothing))
		})
	}
}
