package ratelimit

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Room bounds how many bytes of requests are held at once: in all, and for each
// key, so that no key can fill the room alone. Its methods may be called by
// several goroutines at once.
type Room struct {
	all   *semaphore.Weighted
	share int64

	mu   sync.Mutex
	held map[string]int64 // bytes, of the keys that hold any
}

// NewRoom makes room for all bytes, of which one key gets at most share.
func NewRoom(all, share int64) *Room {
	return &Room{all: semaphore.NewWeighted(all), share: share, held: map[string]int64{}}
}

// Take takes n bytes for the key and waits until ctx ends for others to leave.
// It reports false and takes nothing if ctx ends first, or if the key would
// hold more than its share. leave gives the bytes back; call it once.
func (r *Room) Take(ctx context.Context, key string, n int64) (leave func(), ok bool) {
	if !r.add(key, n) {
		return nil, false
	}
	if r.all.Acquire(ctx, n) != nil {
		r.remove(key, n)
		return nil, false
	}
	return func() {
		r.all.Release(n)
		r.remove(key, n)
	}, true
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
