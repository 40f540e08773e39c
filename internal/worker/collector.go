package worker

import (
	"os"
	"runtime/debug"
)

// heapGrowth is by how many percent the heap may grow between two runs of Go's
// garbage collector. A worker keeps little in memory, so that the default of 100
// collects often: that costs an eighth more processor time for a few megabytes.
const heapGrowth = 200

// relaxCollector sets heapGrowth for the process, unless the environment sets GOGC.
func relaxCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}
