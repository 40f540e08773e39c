// Package trouble decides when to log a fault that lasts: when it begins, when
// it changes, from time to time while it lasts, and when it ends.
package trouble

import "time"

// Log remembers what was logged of one kind of trouble. The zero Log knows no
// trouble. It is not safe for concurrent use.
type Log struct {
	began   time.Time // zero: nothing is wrong
	kind    string    // of the trouble now
	changed time.Time // when it became this kind
	told    bool      // it was mentioned since it began

	last  string    // the kind that was mentioned last
	at    time.Time // when that was
	ended time.Time // when the trouble before this one ended
}

// Rules say how often a trouble is mentioned.
type Rules struct {
	After time.Duration // a trouble that ends sooner is not mentioned
	Again time.Duration // between two mentions of a trouble that stays the same

	// A trouble that comes back within Flapping after the last one ended, and
	// that is younger than Flapping, counts as the last one.
	Flapping time.Duration
}

// Wrong notes that there is trouble now. kind is equal for troubles that are the
// same to the reader. It reports whether to mention the trouble now.
func (l *Log) Wrong(kind string, r Rules, now time.Time) (mention bool) {
	if l.began.IsZero() {
		l.began, l.kind, l.changed = now, kind, now
	}
	if l.kind != kind {
		l.kind, l.changed = kind, now
	}
	same := l.last == kind && now.Sub(l.at) < r.Again
	flaps := now.Sub(l.ended) < r.Flapping && now.Sub(l.began) < r.Flapping
	if now.Sub(l.changed) < r.After || same && (l.told || flaps) {
		return false
	}
	l.told, l.last, l.at = true, kind, now
	return true
}

// Right notes that nothing is wrong now. It reports whether to mention that, and
// when the trouble that has ended began.
func (l *Log) Right(now time.Time) (began time.Time, mention bool) {
	began, mention = l.began, l.told
	if !began.IsZero() {
		l.ended = now
	}
	l.began, l.told = time.Time{}, false
	return began, mention
}

// Began returns when the trouble that there is now began; zero if there is none.
func (l *Log) Began() time.Time { return l.began }
