package webhook

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twilio/twilio-go/client"
	"golang.org/x/net/dns/dnsmessage"

	"countersign/internal/test/certtest"
	"countersign/internal/test/eventstest"
	"countersign/workflow"
)

const (
	account = workflow.SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	token   = "SeCrEtSeCrEtSeCrEtSeCrEtSeCrEt12"
)

var hook = workflow.Webhook{WebhookSet: workflow.WebhookSet{SID: "WHaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", AccountSID: account, Secrets: []int{1}}}

func newKey(t *testing.T) *Key {
	t.Helper()
	k := OpenKey(filepath.Join(t.TempDir(), "webhook-key"), time.Now, eventstest.Logger())
	if err := k.Make(); err != nil {
		t.Fatal(err)
	}
	return k
}

// local are the networks of this machine.
var local = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func newSender(t *testing.T, o Options) *Sender {
	t.Helper()
	o.Key, o.Now = newKey(t), time.Now
	o.Token = func(sid workflow.SID) (string, error) {
		if sid != account {
			t.Errorf("asked for the token of %s", sid)
		}
		return token, nil
	}
	return New(o)
}

// deliver makes one try to a URL.
func deliver(t *testing.T, s *Sender, target string) workflow.DeliveryOutcome {
	t.Helper()
	w := hook
	w.URL = target
	return s.Deliver(t.Context(), workflow.Delivery{ID: "WH_1", Receiver: string(w.SID), Account: account, Body: "{}"}, w)
}

func TestSenderDeliver_OutcomeByReply(t *testing.T) {
	s := newSender(t, Options{Allow: Allow{Networks: local}})
	for code, want := range map[int]string{
		200: "delivered ", 204: "delivered ", 301: "failed 301: redirects are not followed", 400: "failed 400 Bad Request",
		410: "failed 410 Gone", 500: "failed 500 Internal Server Error",
	} {
		r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://example.com/")
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(code)
			w.Write([]byte("private words of the receiver"))
		}))
		o := deliver(t, s, r.URL)
		if got := string(o.Result) + " " + o.Reply; got != want || o.Code != code || o.RetryAfterMs != 0 {
			t.Errorf("%d: %q, code %d, after %d", code, got, o.Code, o.RetryAfterMs)
		}
		r.Close()
	}
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer r.Close()
	if o := deliver(t, s, r.URL); o.RetryAfterMs != 60_000 {
		t.Errorf("429 with Retry-After: after %d ms", o.RetryAfterMs)
	}
	if o := deliver(t, s, "http://127.0.0.1:1/?key=hidden"); o.Result != workflow.DeliveryFailed || o.Code != 0 || strings.Contains(o.Reply, "hidden") {
		t.Errorf("a receiver that is away: %+v", o)
	}
}

// TestSenderDeliver_RedirectIsNotFollowed redirects to a server inside.
func TestSenderDeliver_RedirectIsNotFollowed(t *testing.T) {
	var reached atomic.Bool
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer inside.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		r := httptest.NewServer(http.RedirectHandler(inside.URL, code))
		o := deliver(t, newSender(t, Options{Allow: Allow{Networks: local}}), r.URL)
		if o.Result != workflow.DeliveryFailed || o.Code != code || reached.Load() {
			t.Errorf("%d: %+v; followed: %t", code, o, reached.Load())
		}
		r.Close()
	}
}

func TestSenderDeliver_AddressesInsideAreRefused(t *testing.T) {
	s := newSender(t, Options{})
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.1",
		"198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "[::1]", "[::]", "[fc00::1]", "[fd12::1]", "[fe80::1]", "[ff02::1]",
		"[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "[2001::1]", "[fec0::1]",
	} {
		o := deliver(t, s, "https://"+host+":9/")
		if o.Result != workflow.DeliveryFailed || !strings.Contains(o.Reply, "is inside") {
			t.Errorf("%s: %+v", host, o)
		}
	}
	for _, ip := range []string{"8.8.8.8", "1.1.1.1", "2606:4700::1111"} {
		if !public(netip.MustParseAddr(ip)) {
			t.Errorf("%s is not public", ip)
		}
	}
	if o := deliver(t, s, "http://8.8.8.8/"); !strings.Contains(o.Reply, "must begin with https") {
		t.Errorf("http: %+v", o)
	}
	// Networks that are allowed let http pass to addresses in them, and to no others.
	if o := deliver(t, newSender(t, Options{Allow: Allow{Networks: local}}), "http://8.8.8.8:9/"); !strings.Contains(o.Reply, "must begin with https") {
		t.Errorf("http beyond the networks that are allowed: %+v", o)
	}
}

func TestSenderDeliver_WrongCertificateIsRefused(t *testing.T) {
	cert, roots := certtest.New(t)
	var reached atomic.Int32
	r := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	r.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	r.Config.ErrorLog = nil
	r.StartTLS()
	defer r.Close()
	if o := deliver(t, newSender(t, Options{Allow: Allow{Networks: local}}), r.URL); o.Result != workflow.DeliveryFailed || reached.Load() != 0 {
		t.Errorf("an authority that is not trusted: %+v", o)
	}
	trusted := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if o := deliver(t, newSender(t, Options{Allow: Allow{Networks: local}, TLS: trusted}), r.URL); o.Result != workflow.DeliveryDone {
		t.Errorf("the authority is trusted: %+v", o)
	}
	port := r.URL[strings.LastIndexByte(r.URL, ':'):]
	s := newSender(t, Options{Allow: Allow{Hosts: []string{"other.example"}}, TLS: trusted, Resolver: resolver(t, func(int) string { return "127.0.0.1" })})
	if o := deliver(t, s, "https://other.example"+port); o.Result != workflow.DeliveryFailed || !strings.Contains(o.Reply, "certificate") || reached.Load() != 1 {
		t.Errorf("another host's certificate: %+v", o)
	}
}

// resolver asks a DNS server of the test's own, which answers each query for an IPv4
// address with what answer says for the n-th of them.
func resolver(t *testing.T, answer func(n int) string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		queries := 0
		for buffer := make([]byte, 1500); ; {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(buffer[:n]); err != nil || len(m.Questions) == 0 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				queries++
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(answer(queries)).As4()},
				}}
			}
			if packed, err := m.Pack(); err == nil {
				server.WriteTo(packed, from)
			}
		}
	})
	t.Cleanup(func() { server.Close(); serving.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// TestSenderDeliver_NameThatComesToLeadInsideIsRefused has a name that leads outside
// when it is looked up first, and inside when it is reached.
func TestSenderDeliver_NameThatComesToLeadInsideIsRefused(t *testing.T) {
	var reached atomic.Bool
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer inside.Close()
	port := inside.URL[strings.LastIndexByte(inside.URL, ':'):]
	names := resolver(t, func(n int) string {
		if n == 1 {
			return "8.8.8.8"
		}
		return "127.0.0.1"
	})
	if found, err := names.LookupHost(t.Context(), "turns.example"); err != nil || found[0] != "8.8.8.8" {
		t.Fatalf("first it leads to %v, %v", found, err)
	}
	o := deliver(t, newSender(t, Options{Resolver: names}), "https://turns.example"+port)
	if o.Result != workflow.DeliveryFailed || !strings.Contains(o.Reply, "127.0.0.1 is inside") || reached.Load() {
		t.Errorf("%+v; reached: %t", o, reached.Load())
	}
	if o := deliver(t, newSender(t, Options{Resolver: names, Allow: Allow{Hosts: []string{"turns.example"}}}), "http://turns.example"+port); o.Result != workflow.DeliveryDone {
		t.Errorf("a host that the setting names: %+v", o)
	}
}

func TestSenderDeliver_SilentReceiverIsGivenTenSeconds(t *testing.T) {
	silent := make(chan struct{})
	r := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent }))
	defer r.Close()
	defer close(silent)
	if o := deliver(t, newSender(t, Options{Allow: Allow{Networks: local}}), r.URL); o.Result != workflow.DeliveryFailed || o.Reply != "no answer within 10s" {
		t.Errorf("%+v", o)
	}
}

// TestSign_ExampleOfTheSpecification is the example of Standard Webhooks, as its
// libraries test it.
func TestSign_ExampleOfTheSpecification(t *testing.T) {
	got, err := Sign([]string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestSenderDeliver_CallbackPassesTwiliosValidator lets twilio-go validate what a
// receiver got, by each method.
func TestSenderDeliver_CallbackPassesTwiliosValidator(t *testing.T) {
	validator := client.NewRequestValidator(token)
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		for _, query := range []string{"", "?tenant=a%20b&x=1"} {
			valid := false
			r := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
				params := map[string]string{}
				if err := q.ParseForm(); err != nil {
					t.Error(err)
				}
				for name := range q.PostForm {
					params[name] = q.PostForm.Get(name)
				}
				valid = validator.Validate("http://"+q.Host+q.URL.String(), params, q.Header.Get("X-Twilio-Signature"))
				if q.Method != method || q.Form.Get("Status") != "completed" || q.Form.Get("PhoneNumber") != "+14155550101" {
					t.Errorf("%s with %v", q.Method, q.Form)
				}
			}))
			x := workflow.OrderCallback(account, "", workflow.Order{
				SID: "HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Status: workflow.OrderCompleted, PhoneNumber: "+14155550101",
			}, r.URL+"/callback"+query, method, 7, time.Now())
			s := newSender(t, Options{Allow: Allow{Networks: local}})
			if o := s.Deliver(t.Context(), x, workflow.Webhook{}); o.Result != workflow.DeliveryDone || !valid {
				t.Errorf("%s %q: %+v; valid: %t", method, query, o, valid)
			}
			r.Close()
		}
	}
}

func TestAllowCheckURL(t *testing.T) {
	a := Allow{Hosts: []string{"hooks.internal"}}
	for target, good := range map[string]bool{
		"https://example.com/a?b=c": true, "http://hooks.internal:8080/": true, "http://example.com/": false, "ftp://example.com/": false,
		"https://": false, "example.com": false, "https://u:p@example.com/": false, "https://example.com/#a": false, "": false,
		"https://example.com/" + strings.Repeat("a", maxURL): false, "file:///etc/passwd": false, "https://:443/": false,
	} {
		if err := a.CheckURL(target); (err == nil) != good {
			t.Errorf("%.40s: %v", target, err)
		}
	}
}

func TestKey_SecretsFollowFromIt(t *testing.T) {
	k := newKey(t)
	secret := func(k *Key, sid workflow.SID, version int) string {
		s, err := k.Secret(sid, version)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
		if err != nil || len(raw) != 32 {
			t.Errorf("secret of %d bytes: %v", len(raw), err)
		}
		return s
	}
	first := secret(k, "WH1", 1)
	again := OpenKey(k.path, time.Now, eventstest.Logger())
	if err := again.Make(); err != nil {
		t.Fatal(err)
	}
	if secret(again, "WH1", 1) != first {
		t.Error("another process has another secret")
	}
	if secret(k, "WH1", 2) == first || secret(k, "WH2", 1) == first || secret(newKey(t), "WH1", 1) == first {
		t.Error("two secrets are the same")
	}
	if info, err := os.Stat(k.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", info.Mode(), err)
	}
}

func TestKeySeal_OpensForItsAccountAlone(t *testing.T) {
	k := newKey(t)
	sealed, err := k.Seal(account, token)
	if err != nil || strings.Contains(string(sealed), token) {
		t.Fatalf("sealed %q, %v", sealed, err)
	}
	if got, err := k.Open(account, sealed); got != token || err != nil {
		t.Errorf("opened %v", err)
	}
	for name, err := range map[string]error{
		"another account": opened(k, "ACb", sealed), "another key": opened(newKey(t), account, sealed), "cut off": opened(k, account, sealed[:5]),
	} {
		if err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func opened(k *Key, sid workflow.SID, sealed []byte) error {
	_, err := k.Open(sid, sealed)
	return err
}

func TestOpenKey_MissingOrDamagedIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webhook-key")
	k := OpenKey(path, time.Now, eventstest.Logger())
	if err := k.Ready(); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("missing: %v", err)
	}
	if err := os.WriteFile(path, []byte("c2hvcnQ="), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Ready(); err == nil || !strings.Contains(err.Error(), "must be 32 bytes") || strings.Contains(err.Error(), "c2hv") {
		t.Errorf("damaged: %v", err)
	}
	if _, err := k.Secret("WH1", 1); err == nil {
		t.Error("a damaged key makes secrets")
	}
}

func TestRetryAfter_SecondsOrATime(t *testing.T) {
	now := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-1": 0, "soon": 0, "9999999": 24 * time.Hour,
		now.Add(time.Hour).Format(http.TimeFormat): time.Hour, now.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestWords_HoldNoURL(t *testing.T) {
	err := &url.Error{Op: "Post", URL: "https://example.com/?key=hidden", Err: fmt.Errorf("%s", strings.Repeat("x", 500))}
	if got := words(err); strings.Contains(got, "hidden") || len(got) > maxWords {
		t.Errorf("got %q", got)
	}
}

// TestSignTwilio_AsTwiliosClientsForNodeSign compares with what the npm package twilio
// 6.2.0, 5.13.1, 4.23.0 and 3.84.1 all return from getExpectedTwilioSignature.
func TestSignTwilio_AsTwiliosClientsForNodeSign(t *testing.T) {
	const target = "https://example.com/callback?tenant=a%20b&x=1"
	x := workflow.OrderCallback(account, "", workflow.Order{
		SID: "HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Status: workflow.OrderCompleted, PhoneNumber: "+14155550101",
	}, target, http.MethodPost, 7, time.Now())
	form, err := url.ParseQuery(x.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := SignTwilio(token, target, form); got != "V91Oax8RpnELcYKnJ3Sw0AgEWsw=" {
		t.Errorf("POST: %s", got)
	}
	if got := SignTwilio(token, target+"&"+x.Body, nil); got != "QkY7dDwe4fPcHkwT8a1yXxlHQYM=" {
		t.Errorf("GET: %s", got)
	}
}
