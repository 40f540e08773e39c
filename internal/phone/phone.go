// Package phone writes telephone numbers the way people do.
package phone

import (
	"regexp"

	"github.com/nyaruka/phonenumbers"
)

// american matches the numbers of the North American Numbering Plan. Most are
// of it, and the library takes twenty times as long to say the same: in a mail
// with many numbers that would be the better part of the work.
var american = regexp.MustCompile(`^\+1([2-9]\d{2})([2-9]\d{2})(\d{4})$`)

// Human returns an E.164 number as people write it: "(415) 555-0100" within
// the North American Numbering Plan, "+44 20 7946 0958" elsewhere. What is not
// a possible number comes back as it is.
func Human(e164 string) string {
	if m := american.FindStringSubmatch(e164); m != nil {
		return "(" + m[1] + ") " + m[2] + "-" + m[3]
	}
	n, err := phonenumbers.Parse(e164, "")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return e164
	}
	return phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
}
