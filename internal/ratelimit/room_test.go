package ratelimit_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"countersign/internal/ratelimit"
)

func TestRoom_KeyGetsItsShareAndNoMore(t *testing.T) {
	r := ratelimit.NewRoom(100, 40)
	leave, ok := r.Take(t.Context(), "a", 40)
	if !ok {
		t.Fatal("an empty room has no room")
	}
	if _, ok := r.Take(t.Context(), "a", 1); ok {
		t.Error("a key gets more than its share")
	}
	if _, ok := r.Take(t.Context(), "b", 40); !ok {
		t.Error("another key gets nothing")
	}
	leave()
	if _, ok := r.Take(t.Context(), "a", 40); !ok {
		t.Error("what was given back is not to be had")
	}
}

func TestRoom_FullRoomWaitsForALeave(t *testing.T) {
	r := ratelimit.NewRoom(10, 10)
	leave, ok := r.Take(t.Context(), "a", 10)
	if !ok {
		t.Fatal("an empty room has no room")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := r.Take(ended, "b", 1); ok {
		t.Error("a full room has room")
	}
	got := make(chan bool)
	go func() {
		_, ok := r.Take(t.Context(), "b", 10)
		got <- ok
	}()
	leave()
	if !<-got {
		t.Error("who waits gets nothing when others leave")
	}
}

// TestRoomReceive_WhoTakesLongLeavesForOthers has one request fill the room and
// never end. The next one gets its room, and the first a reason.
func TestRoomReceive_WhoTakesLongLeavesForOthers(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			room, begun, faults := ratelimit.NewRoom(10, 10), make(chan struct{}), make(chan error, 1)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				leave, ok := room.Take(r.Context(), r.URL.Path, 10)
				if !ok {
					t.Errorf("%s gets no room", r.URL.Path)
					return
				}
				defer leave()
				err := room.Receive(w, func() error {
					if r.URL.Path == "/slow" {
						close(begun)
					}
					_, err := io.Copy(io.Discard, r.Body)
					return err
				})
				if r.URL.Path == "/slow" {
					faults <- err
				} else if err != nil || r.Proto != proto {
					t.Errorf("%s over %s: %v", r.URL.Path, r.Proto, err)
				}
			}))
			server.EnableHTTP2 = proto == "HTTP/2.0"
			server.StartTLS()
			defer server.Close()
			body, more := io.Pipe()
			defer more.Close()
			var slow sync.WaitGroup
			slow.Go(func() {
				if answer, err := post(t, server, "/slow", body); err == nil {
					answer.Body.Close()
				}
			})
			<-begun
			answer, err := post(t, server, "/quick", strings.NewReader("a"))
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if err := <-faults; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("who takes long is told %v", err)
			}
			more.Close()
			slow.Wait()
		})
	}
}

func post(t *testing.T, server *httptest.Server, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, body)
	if err != nil {
		return nil, err
	}
	return server.Client().Do(r)
}
