// Package phone writes telephone numbers the way people do.
package phone

import "github.com/nyaruka/phonenumbers"

// american reports whether a number is one of the North American Numbering Plan.
// Most are, and the library takes a hundred times as long to write them the same way:
// in an email with many numbers that would be the better part of the work.
func american(e164 string) bool {
	const pattern = "+1NXXNXXXXXX" // N: 2 to 9, X: 0 to 9
	if len(e164) != len(pattern) || e164[:2] != pattern[:2] {
		return false
	}
	for i := 2; i < len(pattern); i++ {
		if c := e164[i]; c < '0' || c > '9' || pattern[i] == 'N' && c < '2' {
			return false
		}
	}
	return true
}

// Human returns an E.164 number as people write it: "(415) 555-0100" within the
// North American Numbering Plan, "+44 20 7946 0958" elsewhere. A number that is
// not possible is returned unchanged.
func Human(e164 string) string {
	if american(e164) {
		return "(" + e164[2:5] + ") " + e164[5:8] + "-" + e164[8:]
	}
	n, err := phonenumbers.Parse(e164, "")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return e164
	}
	return phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
}
