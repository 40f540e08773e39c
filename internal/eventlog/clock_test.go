package eventlog

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	type step struct {
		server, entry time.Time     // what is heard, where it is not zero
		pass          time.Duration // how long it is then left alone
	}
	for name, test := range map[string]struct {
		steps []step
		want  time.Time
		stamp time.Time // of the server
	}{
		"says nothing before it has heard anything": {[]step{{pass: time.Hour}}, time.Time{}, time.Time{}},
		"carries the server's time forward":         {[]step{{server: noon, pass: time.Minute}}, noon.Add(time.Minute), noon.Add(time.Minute)},
		"carries an entry's time forward":           {[]step{{entry: noon, pass: time.Minute}}, noon.Add(time.Minute), time.Time{}},
		"is not set back by an old entry":           {[]step{{server: noon}, {entry: noon.Add(-time.Hour), pass: time.Minute}}, noon.Add(time.Minute), noon.Add(time.Minute)},
		"is set forward by an entry":                {[]step{{server: noon, pass: time.Minute}, {entry: noon.Add(time.Hour)}}, noon.Add(time.Hour), noon.Add(time.Minute)},
		"believes a server that was put right":      {[]step{{server: noon.Add(time.Hour), pass: time.Minute}, {server: noon, pass: time.Minute}}, noon.Add(time.Minute), noon.Add(time.Minute)},
		"is never behind the newest entry":          {[]step{{entry: noon.Add(time.Hour)}, {server: noon, pass: time.Minute}}, noon.Add(time.Hour + time.Minute), noon.Add(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c clock
				for _, s := range test.steps {
					if !s.server.IsZero() {
						c.server(s.server, time.Now())
					}
					if !s.entry.IsZero() {
						c.entry(s.entry)
					}
					<-time.After(s.pass)
				}
				if got := c.now(); !got.Equal(test.want) {
					t.Errorf("it is %s, want %s", got, test.want)
				}
				if got := c.stamp(); !got.Equal(test.stamp) {
					t.Errorf("the server would stamp %s, want %s", got, test.stamp)
				}
			})
		})
	}
}
