package evidence_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"countersign/internal/evidence"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// forgeries are texts that would read as a genuine line, or steer a terminal.
var forgeries = []string{
	"x\nsigner    SHA-256 0000",
	"x\r\x1b[2K\x1b[1Asigner    SHA-256 0000",
	"x\u0085signer    SHA-256 0000\u009b2J",
	"x\u2028signer    SHA-256 0000\u202e\U000e0041",
	"x\x9b2J\xff" + strings.Repeat(" ", 200) + "signer    SHA-256 0000",
}

// TestVerify_ForgedNamesAreRefusedInOneInertLine puts the texts wherever whoever
// makes an archive, and signs it with a key of their own, may choose.
func TestVerify_ForgedNamesAreRefusedInOneInertLine(t *testing.T) {
	seal := newSeal(t, "Example Messaging")
	good := content(t, seal)
	archive := write(t, good, seal)
	forged := func(change func(*evidence.Content)) []byte {
		c := content(t, seal)
		change(&c)
		return write(t, c, seal)
	}
	// raw is an archive whose manifest is JSON with other bytes in it than JSON's.
	raw := func(old, text string) []byte {
		return forge(t, archive, func(files []packed) []packed {
			files[0].data = bytes.Replace(files[0].data, []byte(old), []byte(text), 1)
			files[1].data, _ = seal.Sign(files[0].data)
			return files
		})
	}
	for _, text := range forgeries {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		for name, archive := range map[string][]byte{
			"document":                     forged(func(c *evidence.Content) { c.Document += workflow.SID(text) }),
			"account":                      forged(func(c *evidence.Content) { c.Account += workflow.SID(text) }),
			"status":                       forged(func(c *evidence.Content) { c.Status = workflow.Status(text) }),
			"format":                       raw(`"countersign evidence 1"`, string(quoted)),
			"not JSON":                     raw(`"countersign evidence 1"`, text),
			"a name that the manifest has": raw(`"document.json"`, string(quoted)),
			"a name of a file":             forge(t, archive, func(f []packed) []packed { f[2].name = text; return f }),
			"a name more":                  forge(t, archive, func(f []packed) []packed { return append(f, packed{text, nil}) }),
			"a name in the manifest's place": forge(t, archive, func(f []packed) []packed {
				f[0].name = text
				return f
			}),
			"a name that is long": forge(t, archive, func(f []packed) []packed {
				return append(f, packed{strings.Repeat("a", 300), nil})
			}),
			"a subject": forged(func(c *evidence.Content) { c.Messages[1].Subject = text }),
			"a digest of a letter": forged(func(c *evidence.Content) {
				c.Letter = nil
				c.Messages[2].Data = bytes.Replace(c.Messages[2].Data, []byte(`"`+sha256Of(good.Letter)+`"`), quoted, 1)
			}),
		} {
			report, err := evidence.Verify(archive)
			if err == nil && name == "a digest of a letter" && report.Letter == "" {
				continue // an entry that is no event of ours says nothing of the letter
			}
			var fault *evidence.Fault
			if !errors.As(err, &fault) {
				t.Errorf("%s with %q: %v; it reports %+v", name, text, err, report)
				continue
			}
			if said := err.Error(); terminal.Escape(said) != said || strings.Contains(said, "    ") || len(said) > 500 {
				t.Errorf("%s with %q is told as %q", name, text, said)
			}
		}
	}
}
