package ticket_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/ticket"
	"countersign/workflow"
)

var (
	now    = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	claims = ticket.Claims{
		Purpose:  ticket.Sign,
		Document: "PX000102030405060708090a0b0c0d0e0f",
		Round:    3,
		Expires:  now.Add(24 * time.Hour),
	}
)

func TestVerify_ReturnsTheClaimsOfIssue(t *testing.T) {
	keys := load(t, one)
	for name, change := range map[string]func(*ticket.Claims){
		"as it is":             func(*ticket.Claims) {},
		"upper-case sid":       func(c *ticket.Claims) { c.Document = "PXABCDEFABCDEFABCDEFABCDEFABCDEFAB" },
		"sid in mixed case":    func(c *ticket.Claims) { c.Document = "PXaBcDeFAbCdEfaBcDeFAbCdEf0123456F" },
		"sid of digits":        func(c *ticket.Claims) { c.Document = "PX00000000000000000000000000000009" },
		"round 0":              func(c *ticket.Claims) { c.Round = 0 },
		"a very late round":    func(c *ticket.Claims) { c.Round = 1<<31 - 1 },
		"expiry far away":      func(c *ticket.Claims) { c.Expires = time.Date(2106, 1, 1, 0, 0, 0, 0, time.UTC) },
		"expiry in a moment":   func(c *ticket.Claims) { c.Expires = now.Add(time.Second) },
		"a purpose of its own": func(c *ticket.Claims) { c.Purpose = 'v' },
	} {
		t.Run(name, func(t *testing.T) {
			c := claims
			change(&c)
			got, err := keys.Verify(issue(t, keys, c), c.Purpose, now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c, got); diff != "" {
				t.Errorf("claims (-issued +read):\n%s", diff)
			}
		})
	}
}

func TestIssue_SameClaimsMakeTheSameToken(t *testing.T) {
	// A golden token: links that are out must outlive a new version.
	const want = "fnegXnMAAQIDBAUGBwgJCgsMDQ4PAAAAAAAAAANrBWAgF7wdyf6ioz8MzGaPQTkqAJW6uUI"
	first, second := load(t, one), load(t, one)
	fraction := claims
	fraction.Expires = fraction.Expires.Add(999 * time.Millisecond).In(time.FixedZone("", 3600))
	for name, got := range map[string]string{
		"first":                issue(t, first, claims),
		"again":                issue(t, first, claims),
		"another worker":       issue(t, second, claims),
		"fraction of a second": issue(t, first, fraction),
	} {
		if got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestIssue_OtherClaimsMakeAnotherToken(t *testing.T) {
	keys := load(t, one)
	seen := map[string]string{issue(t, keys, claims): "the claims"}
	for name, change := range map[string]func(*ticket.Claims){
		"purpose": func(c *ticket.Claims) { c.Purpose = 'v' },
		"sid":     func(c *ticket.Claims) { c.Document = "PX000102030405060708090a0b0c0d0e1f" },
		"case":    func(c *ticket.Claims) { c.Document = "PX000102030405060708090A0b0c0d0e0f" },
		"round":   func(c *ticket.Claims) { c.Round++ },
		"expiry":  func(c *ticket.Claims) { c.Expires = c.Expires.Add(time.Second) },
	} {
		c := claims
		change(&c)
		token := issue(t, keys, c)
		if other, twice := seen[token]; twice {
			t.Errorf("another %s gives the token of %s", name, other)
		}
		seen[token] = "another " + name
	}
}

func TestIssue_RefusesBadClaims(t *testing.T) {
	keys := load(t, one)
	for name, change := range map[string]func(*ticket.Claims){
		"no document":         func(c *ticket.Claims) { c.Document = "" },
		"another resource":    func(c *ticket.Claims) { c.Document = "HR" + c.Document[2:] },
		"short sid":           func(c *ticket.Claims) { c.Document = c.Document[:33] },
		"long sid":            func(c *ticket.Claims) { c.Document += "0" },
		"sid that is not hex": func(c *ticket.Claims) { c.Document = "PX" + workflow.SID(strings.Repeat("g", 32)) },
		"negative round":      func(c *ticket.Claims) { c.Round = -1 },
		"no expiry":           func(c *ticket.Claims) { c.Expires = time.Time{} },
		"expiry after 2106":   func(c *ticket.Claims) { c.Expires = time.Date(2107, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		t.Run(name, func(t *testing.T) {
			c := claims
			change(&c)
			if token, err := keys.Issue(c); !errors.Is(err, ticket.ErrInvalid) {
				t.Errorf("got %q, %v; want ErrInvalid", token, err)
			}
		})
	}
}

func TestVerify_ChecksPurposeAndTime(t *testing.T) {
	keys := load(t, one)
	token := issue(t, keys, claims)
	for _, c := range []struct {
		name    string
		purpose ticket.Purpose
		now     time.Time
		want    error
	}{
		{"in time", ticket.Sign, now, nil},
		{"in the last moment", ticket.Sign, claims.Expires.Add(-1), nil},
		{"at the expiry", ticket.Sign, claims.Expires, ticket.ErrExpired},
		{"long after", ticket.Sign, claims.Expires.AddDate(1, 0, 0), ticket.ErrExpired},
		{"for another purpose", 'v', now, ticket.ErrInvalid},
		{"for another purpose, late", 'v', claims.Expires, ticket.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := keys.Verify(token, c.purpose, c.now)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			want := claims
			if errors.Is(c.want, ticket.ErrInvalid) {
				want = ticket.Claims{}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKeys_OldKeysOnlyVerify(t *testing.T) {
	old, rotated, fresh := load(t, one), load(t, two, one), load(t, two)
	sent := issue(t, old, claims)
	if _, err := rotated.Verify(sent, ticket.Sign, now); err != nil {
		t.Errorf("a link of the old key, while the old key is kept: %v", err)
	}
	if _, err := fresh.Verify(sent, ticket.Sign, now); !errors.Is(err, ticket.ErrInvalid) {
		t.Errorf("a link of the old key, once the key is gone: got %v, want ErrInvalid", err)
	}
	if got, want := issue(t, rotated, claims), issue(t, fresh, claims); got != want {
		t.Error("with two keys, the first one did not sign")
	}
}

func TestVerify_EveryFlippedBitIsInvalid(t *testing.T) {
	keys := load(t, one)
	token := issue(t, keys, claims)
	for i := range token {
		for bit := range 8 {
			b := []byte(token)
			b[i] ^= 1 << bit
			if _, err := keys.Verify(string(b), ticket.Sign, now); !errors.Is(err, ticket.ErrInvalid) {
				t.Errorf("character %d, bit %d: got %v, want ErrInvalid", i, bit, err)
			}
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for x := 1; x < 256; x++ {
			raw[i] ^= byte(x)
			if _, err := keys.Verify(base64.RawURLEncoding.EncodeToString(raw), ticket.Sign, now); !errors.Is(err, ticket.ErrInvalid) {
				t.Errorf("byte %d xor %#x: got %v, want ErrInvalid", i, x, err)
			}
			raw[i] ^= byte(x)
		}
	}
}

func FuzzVerify(f *testing.F) {
	keys := load(f, one)
	token := issue(f, keys, claims)
	for _, seed := range []string{
		"", token, token + "\n", token[:len(token)-1], token + "A", token + "=", "\n" + token[1:],
		strings.Repeat("A", len(token)), strings.Repeat("_", len(token)), "é" + token[2:], strings.ToLower(token),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := keys.Verify(s, ticket.Sign, now)
		if s == token {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		// Nobody has the key, so there is no second token.
		if !errors.Is(err, ticket.ErrInvalid) || c != (ticket.Claims{}) {
			t.Errorf("forged: %v", err)
		}
	})
}

func issue(t testing.TB, keys *ticket.Keys, c ticket.Claims) string {
	t.Helper()
	token, err := keys.Issue(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
