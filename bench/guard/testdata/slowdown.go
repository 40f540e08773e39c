package main

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// The guard adds this file to countersign if it has to show that it notices: for each
// second of CPU time in the program, it takes SLOWDOWN seconds more.
func init() {
	share, err := strconv.ParseFloat(os.Getenv("SLOWDOWN"), 64)
	if err != nil {
		panic(err)
	}
	go func() {
		runtime.LockOSThread()
		for range time.Tick(time.Millisecond) {
			for {
				own := taken(1) // RUSAGE_THREAD
				if own >= share*(taken(syscall.RUSAGE_SELF)-own) {
					break
				}
				spin()
			}
		}
	}()
}

// taken is CPU time in the program, in seconds.
func taken(who int) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()) / 1e9
}

var spun uint64

// spin works for some 50 µs, in the program and not in the kernel.
func spin() {
	for i := range uint64(100_000) {
		spun = spun*6364136223846793005 + i
	}
}
