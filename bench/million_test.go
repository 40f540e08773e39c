package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"countersign/db"
	"countersign/internal/accounts"
	"countersign/internal/api"
	"countersign/workflow"
)

const (
	accountSID = workflow.SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	busyEmail  = "busy@example.com" // signer of each tenth document
	perBatch   = 4096               // entries, as a follower reads them
)

func px(n int) workflow.SID { return workflow.SID(fmt.Sprintf("PX%032x", n)) }

// fill folds n documents into a store: each third is canceled, each tenth is
// the busy signer's.
func fill(b *testing.B, s *db.Store, n int) {
	b.Helper()
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	var batch []workflow.Entry
	sequence := uint64(0)
	add := func(i int, what string, body workflow.Body) {
		sequence++
		batch = append(batch, workflow.Entry{
			Sequence: sequence, Time: at.Add(time.Duration(sequence) * time.Millisecond), ID: fmt.Sprint(what, i), Source: "/bench",
			Subject: workflow.SubjectPrefix + string(accountSID) + "." + string(px(i)) + "." + what, Account: accountSID, Document: px(i), Body: body,
		})
		if len(batch) == perBatch {
			apply(b, s, batch)
			batch = batch[:0]
		}
	}
	for i := range n {
		email := fmt.Sprintf("signer-%d@example.com", i%(n/10+1))
		if i%10 == 0 {
			email = busyEmail
		}
		add(i, "created", workflow.Created{
			AddressSID: "ADaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Email: email, CCEmails: []string{"ops@example.com"}, Hold: true,
			HostedNumberOrderSIDs: []workflow.SID{workflow.SID(fmt.Sprintf("HR%032x", i))},
		})
		if i%3 == 0 {
			add(i, "status", workflow.StatusChanged{Status: workflow.Canceled, Reason: "bench"})
		}
	}
	apply(b, s, batch)
}

func apply(b *testing.B, s *db.Store, batch []workflow.Entry) {
	b.Helper()
	if len(batch) == 0 {
		return
	}
	if err := s.Apply(b.Context(), batch[0].Time, batch); err != nil {
		b.Fatal(err)
	}
}

// reader is a client of the REST API over one connection.
type reader struct {
	b     *testing.B
	url   string
	token string
}

func (r reader) get(path string) {
	req, err := http.NewRequest(http.MethodGet, r.url+path, nil)
	if err != nil {
		r.b.Fatal(err)
	}
	req.SetBasicAuth(string(accountSID), r.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.b.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		r.b.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
}

// nothing is a log that nothing is appended to.
type nothing struct{ api.Log }

func serve(b *testing.B, s *db.Store, dir string) reader {
	b.Helper()
	logger := slog.New(slog.DiscardHandler)
	file := accounts.Open(filepath.Join(dir, "accounts"), time.Now, logger)
	token, err := file.Add(accountSID, "")
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Config{
		Documents: s, Progress: s, Log: nothing{}, Accounts: file, PublicURL: "http://127.0.0.1", Now: time.Now, Random: rand.Reader, Logger: logger,
	}))
	b.Cleanup(server.Close)
	return reader{b, server.URL, token}
}

// BenchmarkAPI_MillionDocuments asks for documents and lists of them over HTTP, among a
// million. Every figure but the documents' count is of one run, and each has
// its ratio to the first page of the plain list.
func BenchmarkAPI_MillionDocuments(b *testing.B) {
	n := 1_000_000
	if given := os.Getenv("BENCH_DOCUMENTS"); given != "" {
		var err error
		if n, err = strconv.Atoi(given); err != nil || n < 100 {
			b.Fatalf("BENCH_DOCUMENTS is not a number of 100 or more: %q", given)
		}
	}
	dir := b.TempDir()
	s, err := db.Open(context.Background(), dir)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	fill(b, s, n)
	r := serve(b, s, dir)
	const list = "/HostedNumbers/AuthorizationDocuments"
	// Behind the document in the middle of the list: page 10,000 of a million.
	deep := fmt.Sprintf("&Page=%d&PageToken=PA%s", n/100, px(n/2))
	var first time.Duration
	for _, c := range []struct{ name, path string }{
		{"list first page", list + "?PageSize=50"},
		{"list deep page", list + "?PageSize=50" + deep},
		{"status first page", list + "?PageSize=50&Status=canceled"},
		{"status deep page", list + "?PageSize=50&Status=canceled" + deep},
		{"busy email", list + "?PageSize=50&Email=" + busyEmail},
		{"busy email deep page", list + "?PageSize=50&Email=" + busyEmail + deep},
		{"busy email and status deep page", list + "?PageSize=50&Status=canceled&Email=" + busyEmail + deep},
		{"email of ten", list + "?PageSize=50&Email=signer-7@example.com"},
		{"status of none", list + "?PageSize=50&Status=failed"},
		{"fetch", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			r.b = b
			var took []time.Duration
			i := 0
			for b.Loop() {
				path := c.path
				if path == "" {
					i = (i + 7919) % n // from all over the table
					path = list + "/" + string(px(i))
				}
				begun := time.Now()
				r.get(path)
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			p50, p99 := took[len(took)/2], took[len(took)*99/100]
			if first == 0 {
				first = p50
			}
			b.ReportMetric(float64(p50.Microseconds()), "p50-us")
			b.ReportMetric(float64(p99.Microseconds()), "p99-us")
			b.ReportMetric(float64(p50)/float64(first), "of-first-page")
			b.ReportMetric(0, "ns/op")
		})
	}
}
