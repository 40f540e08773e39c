// Package webhook tells receivers by HTTP what has happened: webhooks in the form
// of Standard Webhooks, and callbacks as Twilio makes them. It never follows a
// redirect, and reaches no address inside unless a setting names it.
package webhook

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"countersign/workflow"
)

// timeout bounds one try, from the look-up of the name to the end of the reply's
// head.
const timeout = 10 * time.Second

const (
	maxReply  = 64 << 10       // bytes of a reply that are read, so that its connection can be used again
	maxAfter  = 24 * time.Hour // a receiver cannot ask for a longer wait
	maxWords  = 200            // characters of what is kept of an error
	userAgent = "Countersign"
)

// Options say how receivers are told.
type Options struct {
	Key      *Key
	Token    func(account workflow.SID) (string, error) // the token that signs an account's callbacks
	Allow    Allow
	TLS      *tls.Config      // nil: the system's authorities
	Resolver *net.Resolver    // nil: the system's
	Now      func() time.Time // for webhook-timestamp, which receivers compare with their clocks
}

// Sender tells receivers. It may be used by several goroutines at once.
type Sender struct {
	Options
	client *http.Client
}

// New makes a sender. It connects to nothing yet.
func New(o Options) *Sender {
	s := &Sender{Options: o}
	s.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // without a proxy: the address that is checked must be the receiver's
			DialContext: s.dial, TLSClientConfig: o.TLS, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8, MaxIdleConns: 512,
			IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: maxReply, DisableCompression: true,
		},
	}
	return s
}

// Ready fails while deliveries cannot be signed.
func (s *Sender) Ready() error { return s.Key.Ready() }

// Deliver makes one try, within ten seconds, and returns what happened. Only an
// answer of 2xx means that it was delivered. The outcome holds no URL, no secret
// and nothing of the receiver's body.
func (s *Sender) Deliver(ctx context.Context, x workflow.Delivery, w workflow.Webhook) workflow.DeliveryOutcome {
	o := workflow.DeliveryOutcome{Delivery: x.ID, Result: workflow.DeliveryFailed}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := s.request(ctx, x, w)
	if err != nil {
		o.Reply = words(err)
		return o
	}
	response, err := s.client.Do(request)
	if err != nil {
		o.Reply = words(err)
		return o
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxReply)) // only the status counts
	o.Code = response.StatusCode
	switch {
	case o.Code >= 200 && o.Code < 300:
		o.Result = workflow.DeliveryDone
	case o.Code >= 300 && o.Code < 400:
		o.Reply = fmt.Sprintf("%d: redirects are not followed", o.Code)
	default:
		o.Reply = strings.TrimSpace(strconv.Itoa(o.Code) + " " + http.StatusText(o.Code))
	}
	if o.Code == http.StatusTooManyRequests || o.Code == http.StatusServiceUnavailable {
		o.RetryAfterMs = retryAfter(response.Header.Get("Retry-After"), s.Now()).Milliseconds()
	}
	return o
}

// request makes the signed request of a try.
func (s *Sender) request(ctx context.Context, x workflow.Delivery, w workflow.Webhook) (*http.Request, error) {
	target := cmp.Or(x.URL, w.URL)
	if err := s.Allow.CheckURL(target); err != nil {
		return nil, err
	}
	ctx = context.WithValue(ctx, plainKey{}, strings.HasPrefix(strings.ToLower(target), "http:"))
	if x.URL != "" {
		return s.callback(ctx, x)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(x.Body))
	if err != nil {
		return nil, err
	}
	secrets := make([]string, len(w.Secrets))
	for i, version := range w.Secrets {
		if secrets[i], err = s.Key.Secret(w.SID, version); err != nil {
			return nil, err
		}
	}
	at := s.Now()
	signature, err := Sign(secrets, string(x.ID), at, []byte(x.Body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("webhook-id", string(x.ID))
	r.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("webhook-signature", signature)
	return r, nil
}

// callback makes the request of a callback: a form, as Twilio sends it, in the
// body or, with GET, in the query.
func (s *Sender) callback(ctx context.Context, x workflow.Delivery) (*http.Request, error) {
	token, err := s.Token(x.Account)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(x.Body)
	if err != nil {
		return nil, err
	}
	target, body := x.URL, io.Reader(strings.NewReader(x.Body))
	if x.Method == http.MethodGet {
		mark := "?"
		if strings.Contains(target, "?") {
			mark = "&"
		}
		target, body, form = target+mark+x.Body, nil, nil
	}
	r, err := http.NewRequestWithContext(ctx, x.Method, target, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("I-Twilio-Idempotency-Token", string(x.ID))
	r.Header.Set("X-Twilio-Signature", SignTwilio(token, target, form))
	return r, nil
}

// retryAfter reads Retry-After (RFC 9110, section 10.2.3): seconds, or a time.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxAfter)
}

// words says why a try failed, without the URL.
func words(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", timeout)
	}
	text := []rune(strings.ToValidUTF8(err.Error(), "?"))
	return string(text[:min(len(text), maxWords)])
}
