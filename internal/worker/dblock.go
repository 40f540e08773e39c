package worker

import (
	"log/slog"
	"time"

	"countersign/db"
)

const (
	lockGrace = 3 * time.Second  // how long another process may lock the database before the log says so
	lockAgain = 30 * time.Second // how often the log says so
)

// sayLocks returns a function that a store calls while another process locks the
// database. It warns after lockGrace and then every lockAgain, and logs when work
// goes on.
func sayLocks(logger *slog.Logger) func(db.Lock) {
	var since, said time.Time
	return func(l db.Lock) {
		now := time.Now()
		switch {
		case l.Free && !said.IsZero():
			logger.Info("the database is no longer locked; the worker continues", "waited", now.Sub(since).Round(time.Second).String())
			since, said = time.Time{}, time.Time{}
		case l.Free:
			since = time.Time{}
		case since.IsZero():
			since = now
		case now.Sub(since) >= lockGrace && now.Sub(said) >= lockAgain:
			said = now
			holder := l.Holder
			if holder == "" {
				holder = "unknown"
			}
			logger.Warn("another process has locked the database; this worker applies nothing until that process ends",
				"database", l.Path, "holder", holder, "waiting", now.Sub(since).Round(time.Second).String())
		}
	}
}
