package phone_test

import (
	"testing"

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
