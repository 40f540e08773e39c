package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/events"
	"countersign/internal/test/eventstest"
	"countersign/internal/test/logtest"
	"countersign/workflow"
)

// ask sends a request and returns the answer, without its body.
func ask(t *testing.T, method, url, host string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestServe_EveryPublicAnswerAsksForHTTPS(t *testing.T) {
	x := newTown(t)
	w := start(t, x.env(t.TempDir(), "COUNTERSIGN_PUBLIC_URL=https://sign.example.com"))
	public := "http://" + w.address("public")
	for _, path := range []string{
		"/", "/nowhere", "/sign/x", "/sign/x/letter.pdf", "/letter/x", "/sign//x", "/HostedNumbers", "/2010-04-01", "/2010-04-01/Accounts/AC0/Addresses.json", "/HostedNumbers/AuthorizationDocuments",
		"/v2/HostedNumber/AuthorizationDocuments", "/v2/x", "/v2/../x",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
			r := ask(t, method, public+path, "")
			if got := r.Header.Values("Strict-Transport-Security"); len(got) != 1 || got[0] != "max-age=31536000" {
				t.Errorf("%s %s: %d with Strict-Transport-Security %q", method, path, r.StatusCode, got)
			}
		}
	}
	if got := ask(t, "GET", "http://"+w.address("admin")+"/", "").Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("the admin listener, which has no TLS, asks for it: %s", got)
	}
	w.end()
}

func TestServe_AdminAnswersToItsOwnNamesOnly(t *testing.T) {
	x := newTown(t)
	w := start(t, x.env(t.TempDir(), "COUNTERSIGN_ADMIN_HOSTS=countersign.monitoring.svc,admin.example.com"))
	admin := "http://" + w.address("admin")
	for host, want := range map[string]int{
		"": 200, "localhost": 200, "10.2.3.4:8081": 200, "[2001:db8::1]:8081": 200, "countersign.monitoring.svc:8081": 200, "Admin.example.com": 200,
		"evil.example": 421, "127.0.0.1.evil.example:8081": 421, "monitoring.svc": 421,
	} {
		for _, path := range []string{"/", "/metrics", "/healthz"} {
			if got := ask(t, "GET", admin+path, host).StatusCode; got != want {
				t.Errorf("%s of %q: %d, want %d", path, host, got, want)
			}
		}
		for _, path := range []string{"/readyz", "/nowhere", "/inbox/"} {
			if got := ask(t, "GET", admin+path, host).StatusCode; (got == 421) != (want == 421) {
				t.Errorf("%s of %q: %d", path, host, got)
			}
		}
	}
	w.end()
}

func TestDev_InboxAnswersToItsOwnNamesOnly(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var log logtest.Buffer
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--nats-listen", "off"}, nil, io.Discard, &log)
	}()
	eventstest.WaitFor(t, time.Minute, "dev to be up", func() bool { return strings.Contains(log.String(), "up until") })
	inbox := regexp.MustCompile(`http://\S+/inbox/`).FindString(log.String())
	for _, path := range []string{"", "api/mails", "mails/1"} {
		if got := ask(t, "GET", inbox+path, "evil.example:8081").StatusCode; got != 421 {
			t.Errorf("inbox/%s: %d for another host name", path, got)
		}
	}
	if got := ask(t, "GET", inbox, "localhost:8081").StatusCode; got != 200 {
		t.Errorf("inbox: %d for localhost", got)
	}
	stop()
	if code := <-done; code != 0 {
		t.Errorf("dev ends with %d:\n%s", code, log.String())
	}
}

// drawn is a picture in a form.
func drawn(t *testing.T, picture image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}

// scribble is a drawing of the greatest size that is taken.
func scribble(t *testing.T) string {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, 1200, 400))
	for range 2000 {
		picture.Set(rand.IntN(1200), rand.IntN(400), color.Black)
	}
	return drawn(t, picture)
}

// TestServe_FloodOfFormsStaysInMemory sends 500 long forms to links that are
// none, 30 large drawings at once, without ticks and with, and asks for 200
// letters at once. The heap of the process may grow by far less than without the
// bounds on forms, on drawings or on letters.
func TestServe_FloodOfFormsStaysInMemory(t *testing.T) {
	const bound = 64 << 20 // bytes
	x, dir := newTown(t), t.TempDir()
	k := x.process(x.env(dir, "COUNTERSIGN_TRUSTED_PROXIES=127.0.0.0/8", "GOGC=100")) // else garbage is half of what is measured
	const links = 12                                                                  // each has a limit of its own on how often it is used
	x.create(1, links, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, links)
	public := k.address("public")
	one, two := x.signer(public, testPX(1), 1), x.signer(public, testPX(2), 1)
	one.must("GET", "/letter.pdf", nil, 200)
	const heap = "go_memstats_heap_sys_bytes" // never shrinks: what the heap took at its greatest
	before := k.metric(heap)

	codes := map[int]int{}
	var mu sync.Mutex
	crowd := func(n int, f func(i int) (int, error)) {
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				code, err := f(i)
				if err != nil { // the server has answered, and hangs up on the rest of the form
					code = 0
				}
				mu.Lock()
				codes[code]++
				mu.Unlock()
			})
		}
		all.Wait()
	}
	long := url.Values{"action": {"sign"}, "drawn": {strings.Repeat("x", 500<<10)}}
	crowd(500, func(i int) (int, error) {
		v := visitor{t: t, url: "http://" + public + "/sign/" + strings.Repeat("A", 71), from: fmt.Sprintf("10.0.%d.%d", i/250, i%250)}
		code, _, err := v.do("POST", "", long)
		return code, err
	})
	if codes[200]+codes[503] > 0 || codes[404] < 50 {
		t.Errorf("forms for links that are none: %v", codes)
	}
	clear(codes)
	unticked, ticked := one.form("sign"), two.form("sign")
	unticked.Del("consent")
	unticked.Set("drawn", drawn(t, image.NewNRGBA64(image.Rect(0, 0, 2000, 1000))))
	ticked.Set("drawn", scribble(t))
	crowd(30, func(int) (int, error) { code, _, err := one.do("POST", "", unticked); return code, err })
	crowd(30, func(int) (int, error) { code, _, err := two.do("POST", "", ticked); return code, err })
	if codes[422] != 30 || codes[200] == 0 || codes[200]+codes[503] != 30 {
		t.Errorf("drawings: %v", codes)
	}
	clear(codes)
	readers := make([]*visitor, links-2)
	for i := range readers {
		readers[i] = x.signer(public, testPX(i+3), 1)
	}
	crowd(200, func(i int) (int, error) {
		v := *readers[i%len(readers)]
		v.from = fmt.Sprintf("10.1.0.%d", i)
		code, _, err := v.do("GET", "/letter.pdf", nil)
		return code, err
	})
	if codes[200] == 0 || codes[200]+codes[503] != 200 {
		t.Errorf("letters: %v", codes)
	}
	grown := k.metric(heap) - before
	t.Logf("the heap grew by %.0f MiB", grown/(1<<20))
	if grown > bound {
		t.Errorf("the heap grew by %.0f MiB, more than %d", grown/(1<<20), bound>>20)
	}
	x.statuses(dir, workflow.Signed, 1)
}

// TestServe_LetterOfManyRefusedEventsIsShort has a thousand events refused while
// the letter is out.
func TestServe_LetterOfManyRefusedEventsIsShort(t *testing.T) {
	const refused = 1000
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 1, "signer-%d@example.com")
	x.statuses(dir, workflow.Signing, 1)
	for i := range refused {
		x.say(events.Updated("/test", fmt.Sprint("late-", i), testAccount, testPX(1), workflow.Updated{ContactTitle: new("Owner")}))
	}
	x.rest(dir)
	s := x.signer(w.address("public"), testPX(1), 1)
	s.must("POST", "", s.form("sign"), 200)
	x.statuses(dir, workflow.Signed, 1)
	pdf := []byte(s.must("GET", "/letter.pdf", nil, 200))
	if n := len(regexp.MustCompile(`/Type /Page\b`).FindAll(pdf, -1)); n < 3 || n > 25 {
		t.Errorf("the letter has %d pages", n)
	}
	text := words(t, pdf)
	for _, want := range []string{"more lines of the history are left out", "authorization_document.created", "mail accepted", "signed on the signing page"} {
		if !strings.Contains(text, want) {
			t.Errorf("the letter does not say %q", want)
		}
	}
	w.end()
}
