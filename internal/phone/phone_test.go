package phone_test

import (
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

// FuzzAmerican holds the shortcut for American numbers to what the library
// says.
func FuzzAmerican(f *testing.F) {
	for _, national := range []string{"4155550100", "8765550123", "2002000000", "9119119999", "1005550100"} {
		f.Add(national)
	}
	shape := regexp.MustCompile(`^[2-9]\d{2}[2-9]\d{6}$`)
	f.Fuzz(func(t *testing.T, national string) {
		if !shape.MatchString(national) {
			return
		}
		n, err := phonenumbers.Parse("+1"+national, "")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := phone.Human("+1"+national), phonenumbers.Format(n, phonenumbers.NATIONAL); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
