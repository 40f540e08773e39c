package eventlog

import (
	"time"
)

// SetUploadWait sets after how long an upload counts as cut off.
func SetUploadWait(d time.Duration) { uploadWait = d }
