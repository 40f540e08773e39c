package httpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"countersign/internal/ratelimit"
)

// The errors of Forms.Receive. Any other says that the body broke off.
var (
	ErrFormTooLarge = errors.New("the form is too large")
	ErrNoRoom       = errors.New("many large forms are being read: try again")
	ErrFormTooSlow  = errors.New("the form took long to arrive, and other forms wait: try again")
)

// Forms receives the bodies of requests within bounds of memory: for one form, for
// the forms of one key, and for all. Its methods may be called by several
// goroutines at once.
type Forms struct {
	room *ratelimit.Room
	most int64
	wait time.Duration
}

// NewForms makes room for forms of at most most bytes each, for share bytes of one
// key's forms and for all bytes of everybody's. Receive waits for room as long as
// wait.
func NewForms(all, share, most int64, wait time.Duration) *Forms {
	return &Forms{room: ratelimit.NewRoom(all, share), most: most, wait: wait}
}

// Receive reads the body of r into memory, once there is room for it, and
// replaces r.Body by what it read. leave gives the room back; call it once, when
// the form is done with. Receive fails with ErrFormTooLarge, ErrNoRoom or
// ErrFormTooSlow, or if the body breaks off; then there is nothing to give back.
func (f *Forms) Receive(w http.ResponseWriter, r *http.Request, key string) (leave func(), err error) {
	length := r.ContentLength
	switch {
	case length > f.most:
		return nil, ErrFormTooLarge
	case length < 0: // the client does not say how long it is
		length = f.most
	}
	ctx, cancel := context.WithTimeout(r.Context(), f.wait)
	defer cancel()
	leave, ok := f.room.Take(ctx, key, length)
	if !ok {
		return nil, ErrNoRoom
	}
	var body []byte
	err = f.room.Receive(w, func() (err error) {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, f.most))
		return err
	})
	if err == nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
		return leave, nil
	}
	leave()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, ErrFormTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, ErrFormTooSlow
	}
	return nil, fmt.Errorf("read the form: %w", err)
}
