package main

import "time"

// setClock sets the program's wall clock wrong by a duration such as "72h"; "" for
// not at all.
func setClock(by string) {
	if by == "" {
		return
	}
	d, err := time.ParseDuration(by)
	if err != nil {
		panic(err)
	}
	wallClock = func() time.Time { return time.Now().Add(d) }
}
