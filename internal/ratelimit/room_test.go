package ratelimit_test

import (
	"context"
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
