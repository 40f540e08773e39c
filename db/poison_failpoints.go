//go:build failpoints

package db

import (
	"os"

	"countersign/workflow"
)

// In test builds the event whose id is POISON kills the process that folds it:
// by a panic, or if POISON_KILLS is set as the kernel does when memory is
// short.
func init() {
	id := os.Getenv("POISON")
	if id == "" {
		return
	}
	onEntry = func(e workflow.Entry) {
		switch {
		case e.ID != id:
		case os.Getenv("POISON_KILLS") != "":
			p, _ := os.FindProcess(os.Getpid())
			_ = p.Kill()
			select {}
		default:
			panic("poison")
		}
	}
}
