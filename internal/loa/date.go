package loa

import (
	"fmt"
	"time"
)

// Date writes the day of a moment, in UTC, as people write it in a language of
// Languages.
func Date(language string, t time.Time) string {
	t = t.UTC()
	if language == spanish.Language {
		return fmt.Sprintf("%d de %s de %d", t.Day(), spanishMonths[t.Month()-1], t.Year())
	}
	return t.Format("2 January 2006")
}

// Moment writes a moment to the minute, in UTC and saying so.
func Moment(language string, t time.Time) string {
	return Date(language, t) + ", " + t.UTC().Format("15:04 UTC")
}

var spanishMonths = []string{
	"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
}
