package main

import (
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

// The guard adds this file to countersign if a profile is wanted: it writes the CPU
// profile of the process, from its start to SIGTERM, to the file PROFILE.
func init() {
	out, err := os.Create(os.Getenv("PROFILE"))
	if err != nil {
		panic(err)
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		panic(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM) // the program gets it too
	go func() {
		<-stop
		pprof.StopCPUProfile()
		out.Close()
	}()
}
