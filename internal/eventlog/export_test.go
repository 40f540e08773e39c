package eventlog

import (
	"time"
)

// SetUploadWait sets after how long an upload counts as cut off.
func SetUploadWait(d time.Duration) { uploadWait = d }

// SetPatience sets the longest that an event waits for those in flight.
func (l *Log) SetPatience(d time.Duration) { l.together.patience = d }

// Together returns how many events are in flight, and how many wait for them.
func (l *Log) Together() (flying, waiting int) {
	l.together.mu.Lock()
	defer l.together.mu.Unlock()
	return l.together.flying, len(l.together.waiting)
}
