package mail

import (
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

func TestNumber(t *testing.T) {
	for e164, want := range map[string]string{
		"+14155550100": "(415) 555-0100", "+18005550199": "(800) 555-0199", "+18765550123": "(876) 555-0123",
		"+442079460958": "+44 20 7946 0958", "+493012345678": "+49 30 12345678",
		"+11155550100": "+1 1155550100", "+1415": "+1415", "4155550100": "4155550100",
		"call\r\nme": "call me", "": "",
	} {
		if got := number(e164); got != want {
			t.Errorf("number(%q) = %q, want %q", e164, got, want)
		}
	}
}

// The shortcut for American numbers must say what the library says.
func FuzzAmericanNumber(f *testing.F) {
	f.Add("4155550100")
	f.Add("8765550123")
	f.Add("2002000000")
	f.Add("9119119999")
	f.Add("1005550100")
	f.Fuzz(func(t *testing.T, national string) {
		if !american.MatchString("+1" + national) {
			return
		}
		n, err := phonenumbers.Parse("+1"+national, "")
		if err != nil {
			t.Fatal(err)
		}
		if want := phonenumbers.Format(n, phonenumbers.NATIONAL); number("+1"+national) != want {
			t.Errorf("got %q, want %q", number("+1"+national), want)
		}
	})
}

func TestPlain(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"as it is", "Owner & Söhne", "Owner & Söhne"},
		{"lines and gaps", " a\r\nb\t\u00a0 c\u2028d ", "a b c d"},
		{"control characters", "a\x00b\x1bc", "a b c"},
		{"turned around and hidden", "a\u202eb\u200bc\ufeff", "abc"},
		{"not UTF-8", "a\xffb", "ab"},
		{"long", strings.Repeat("é", 200), strings.Repeat("é", maxWords) + "…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := plain(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
