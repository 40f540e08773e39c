// Package phone writes telephone numbers the way people do.
package phone

import "github.com/nyaruka/phonenumbers"

// american returns the ten digits of a number that has the form of the North
// American Numbering Plan. Most numbers are such, and the library takes a hundred
// times as long to write them the same way: in an email with many numbers that would
// be the better part of the work.
func american(e164 string) (digits string, ok bool) {
	const pattern = "+1NXXXXXXXXX" // N: 2 to 9, X: 0 to 9
	if len(e164) != len(pattern) || e164[:2] != pattern[:2] || e164[2] < '2' {
		return "", false
	}
	digits = e164[2:]
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return "", false
		}
	}
	return digits, true
}

// Human returns an E.164 number as people write it: "(415) 555-0100" within the
// North American Numbering Plan, "+44 20 7946 0958" elsewhere. A number that is
// not possible is returned unchanged, and one that the North American plan never
// assigns is written as if it were foreign: "+1 415-000-0100".
func Human(e164 string) string {
	if n, ok := american(e164); ok {
		if n[3] < '2' { // exchanges begin with 2 to 9
			return "+1 " + n[:3] + "-" + n[3:6] + "-" + n[6:]
		}
		return "(" + n[:3] + ") " + n[3:6] + "-" + n[6:]
	}
	n, err := phonenumbers.Parse(e164, "")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return e164
	}
	return phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
}
