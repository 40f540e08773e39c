// Package phone writes telephone numbers the way people do.
package phone

import "github.com/nyaruka/phonenumbers"

// nanp is the country code of the North American Numbering Plan.
const nanp = 1

// Human returns an E.164 number as people write it: "(415) 555-0100" within
// the North American Numbering Plan, "+44 20 7946 0958" elsewhere. What is not
// a possible number comes back as it is.
func Human(e164 string) string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return e164
	}
	if n.GetCountryCode() == nanp {
		return phonenumbers.Format(n, phonenumbers.NATIONAL)
	}
	return phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
}
