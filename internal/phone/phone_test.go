package phone_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"countersign/internal/phone"
)

func TestHuman(t *testing.T) {
	for _, c := range []struct{ name, e164, want string }{
		{"California", "+14155550100", "(415) 555-0100"},
		{"toll-free", "+18005550199", "(800) 555-0199"},
		{"Jamaica, in the same plan", "+18765550123", "(876) 555-0123"},
		{"an exchange that the plan does not have", "+14150000000", "+1 415-000-0000"},
		{"an area code that the plan does not have", "+11000000123", "+1 1000000123"},
		{"London", "+442079460958", "+44 20 7946 0958"},
		{"Berlin", "+493012345678", "+49 30 12345678"},
		{"empty", "", ""},
		{"too short", "+1415", "+1415"},
		{"one digit too many for the plan", "+141555501000", "+141555501000"},
		{"no plus", "4155550100", "4155550100"},
		{"words", "call me", "call me"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := phone.Human(c.e164); got != c.want {
				t.Errorf("Human(%q) = %q, want %q", c.e164, got, c.want)
			}
		})
	}
}

// TestHuman_AmericanNumbersAsLibraryWritesThem tries each area code with each first
// digit of the exchange.
func TestHuman_AmericanNumbersAsLibraryWritesThem(t *testing.T) {
	for area := 200; area < 1000; area++ {
		for first := range 10 {
			checkAmerican(t, fmt.Sprintf("%d%d%06d", area, first, (area*7919+first*104729)%1_000_000))
		}
	}
}

func FuzzHuman_AmericanNumbersAsLibraryWritesThem(f *testing.F) {
	for _, national := range []string{"4155550100", "8765550123", "2002000000", "9119119999", "1005550100", "4150550100"} {
		f.Add(national)
	}
	f.Fuzz(checkAmerican)
}

var ten = regexp.MustCompile(`^[2-9]\d{9}$`)

// checkAmerican compares Human with the library.
func checkAmerican(t *testing.T, national string) {
	if !ten.MatchString(national) {
		return
	}
	n, err := phonenumbers.Parse("+1"+national, "")
	if err != nil {
		t.Fatal(err)
	}
	format := phonenumbers.NATIONAL
	if national[3] < '2' {
		format = phonenumbers.INTERNATIONAL
	}
	if got, want := phone.Human("+1"+national), phonenumbers.Format(n, format); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
