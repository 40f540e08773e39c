package show

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"

	"countersign/internal/evidence"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// Evidence says what an archive proves. The fingerprints come first: whoever made
// the archive chose its names, and the certificates' names, as they liked.
func Evidence(out *terminal.Printer, r evidence.Report) error {
	m := r.Manifest
	t := out.Table()
	t.Row("signer", "SHA-256 "+Fingerprint(r.Signer))
	if r.Seal != nil {
		t.Row("seal", "SHA-256 "+Fingerprint(r.Seal))
	}
	t.Row("document", fmt.Sprintf("%s of account %s", m.Document, m.Account))
	if m.Erased > 0 {
		t.Row("status", fmt.Sprintf("erased; it was %s. Its events were removed from the log, as entry %d says", m.Status, m.Erased))
	} else {
		t.Row("status", fmt.Sprintf("%s, as of entry %d, %s", m.Status, m.Sequence, Stamp(m.Time)))
	}
	t.Row("entries", fmt.Sprintf("%d of the log that began %s", r.Entries, Stamp(m.Stream)))
	switch by := terminal.Short(r.Signed.String(), 64); r.Signed.Writer {
	case "":
	case workflow.WriterPage:
		t.Row("signed", fmt.Sprintf("on %s, in entry %d", by, r.Signed.Entry))
	default:
		t.Row("signed", fmt.Sprintf("elsewhere: %s says so in entry %d. The signing page had no visit, and no seal proves one", by, r.Signed.Entry))
	}
	switch {
	case r.Seal != nil:
		t.Row("letter", fmt.Sprintf("%s, as the log says; sealed by %s", r.Letter, nameOf(r.Seal)))
		if !r.Stamped.IsZero() {
			t.Row("stamped", Stamp(r.Stamped)+" by a time-stamp authority; pdfsig or another PDF reader shows which")
		}
	case r.Letter != "":
		t.Row("letter", r.Letter+" was signed, and is not in the archive")
	default:
		t.Row("letter", "none")
	}
	t.Row("manifest", fmt.Sprintf("%d files, signed by %s", len(m.Files), nameOf(r.Signer)))
	return t.Flush()
}

// nameOf is the name that a certificate gives its owner, of at most 64
// characters (ub-common-name in RFC 5280 appendix A.1): a longer one could fill
// the terminal's line, and go on as if it were the next.
func nameOf(c *x509.Certificate) string { return terminal.Short(c.Subject.CommonName, 64) }

// Fingerprint is how people compare certificates.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
