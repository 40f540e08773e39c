package eventlog

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestClockOffset_CountsWhatTheAnswersWayCannotExplain asks a server whose answer
// takes two seconds, and compares clocks with it at once and a minute later.
func TestClockOffset_CountsWhatTheAnswersWayCannotExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		if _, known := c.offset(time.Now()); known {
			t.Error("the offset is known before a server was heard")
		}
		asked, said := time.Now(), time.Now().Add(time.Second)
		<-time.After(2 * time.Second)
		c.server(said, asked)
		for range 2 {
			for wall, want := range map[time.Duration]time.Duration{
				0: 0, time.Second: 0, -time.Second: 0, 72 * time.Hour: 72*time.Hour - time.Second, -3 * time.Second: -2 * time.Second,
			} {
				if ahead, known := c.offset(time.Now().Add(wall)); !known || ahead != want {
					t.Errorf("%s ahead: %s (%t), want %s", wall, ahead, known, want)
				}
			}
			<-time.After(time.Minute)
		}
	})
}

// TestAppends_TellSinceWhenTheLogDoesNotAcknowledge has appends that wait, are
// given up, and are acknowledged.
func TestAppends_TellSinceWhenTheLogDoesNotAcknowledge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, no := &Log{}, errors.New("no room")
		wait := func(what string, want time.Duration, why error) {
			t.Helper()
			since, err := l.Unacknowledged()
			if !errors.Is(err, why) || err != nil && time.Since(since) != want {
				t.Errorf("%s: %v since %s, want %v since %s", what, err, time.Since(since), why, want)
			}
		}
		wait("nothing was appended", 0, nil)
		canceled := l.appends.begin()
		l.appends.failing(canceled, no)
		<-time.After(time.Second)
		l.appends.end(canceled, false)
		wait("nobody waited for the answer", 0, nil)

		first := l.appends.begin()
		<-time.After(10 * time.Second)
		wait("no attempt has ended", 10*time.Second, errNoAnswer)
		l.appends.failing(first, no)
		second := l.appends.begin()
		<-time.After(time.Second)
		wait("two are pending", 11*time.Second, no)
		l.appends.end(first, false)
		wait("one was given up", 11*time.Second, no)
		l.appends.end(second, true)
		wait("one was acknowledged", 0, nil)

		last := l.appends.begin()
		l.appends.failing(last, no)
		<-time.After(5 * time.Second)
		l.appends.end(last, false)
		<-time.After(time.Minute)
		wait("it was given up a minute ago", time.Minute+5*time.Second, no)
		<-time.After(forgetAfter)
		wait("nobody has needed one for minutes", 0, nil)
	})
}
