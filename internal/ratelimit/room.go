package ratelimit

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Room bounds how many bytes of requests are held at once: in all, and for each
// key, so that no key can fill the room alone. A request that takes long to
// arrive is aborted if others wait. Its methods may be called by several
// goroutines at once.
type Room struct {
	all   *semaphore.Weighted
	share int64

	mu     sync.Mutex
	held   map[string]int64 // bytes, of the keys that hold any
	guests []*guest         // requests that can be aborted, the oldest first
}

// guest is a request that is being received.
type guest struct {
	since    time.Time
	sendAway func()
}

// patience is how long a request may take to arrive if others wait for its room.
const patience = time.Second

// NewRoom makes room for all bytes, of which one key gets at most share.
func NewRoom(all, share int64) *Room {
	return &Room{all: semaphore.NewWeighted(all), share: share, held: map[string]int64{}}
}

// Take takes n bytes for the key. It waits for room until ctx ends. It reports
// false and takes nothing if ctx ends first, or if the key would hold more than
// its share. leave gives the bytes back; call it once.
func (r *Room) Take(ctx context.Context, key string, n int64) (leave func(), ok bool) {
	if !r.add(key, n) {
		return nil, false
	}
	if !r.wait(ctx, n) {
		r.remove(key, n)
		return nil, false
	}
	return func() {
		r.all.Release(n)
		r.remove(key, n)
	}, true
}

// Receive calls read, which reads the body of the request that w answers. If
// others wait for room and reading has taken a second, reading the rest fails
// with os.ErrDeadlineExceeded. Call Take before.
func (r *Room) Receive(w http.ResponseWriter, read func() error) error {
	g := &guest{since: time.Now(), sendAway: func() {
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // one without deadlines ends with the server's
	}}
	r.mu.Lock()
	r.guests = append(r.guests, g)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.guests = slices.DeleteFunc(r.guests, func(other *guest) bool { return other == g })
	}()
	return read()
}

// wait takes n bytes of the room, and aborts slow requests if there are too
// few.
func (r *Room) wait(ctx context.Context, n int64) bool {
	if r.all.TryAcquire(n) {
		return true
	}
	ctx, cancel := context.WithCancel(ctx)
	var clearing sync.WaitGroup
	clearing.Go(func() { r.clear(ctx) })
	err := r.all.Acquire(ctx, n)
	cancel()
	clearing.Wait()
	return err == nil
}

// clear aborts slow requests one after the other, until ctx ends.
func (r *Room) clear(ctx context.Context) {
	tick := time.NewTicker(patience / 10)
	defer tick.Stop()
	for {
		r.mu.Lock()
		if len(r.guests) > 0 && time.Since(r.guests[0].since) >= patience {
			r.guests[0].sendAway()
			r.guests = r.guests[1:]
		}
		r.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r *Room) add(key string, n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[key]+n > r.share {
		return false
	}
	r.held[key] += n
	return true
}

func (r *Room) remove(key string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[key] -= n; r.held[key] == 0 {
		delete(r.held, key)
	}
}
