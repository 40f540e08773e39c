package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"countersign/internal/evidence"
	"countersign/internal/letter"
	"countersign/internal/operator"
	"countersign/internal/session"
	"countersign/internal/signing"
	"countersign/internal/terminal"
	"countersign/workflow"
)

func (a *app) evidence() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "evidence PX…",
		Short: "Write all that proves what happened to a document into one archive",
		Long: `Writes one ZIP file: the signed letter, every event of the document as it stands on the log, the mail ledger, and a
manifest with a chain of digests, signed with the key that seals letters. countersign evidence verify checks it without
the log. It holds personal data; what is erased later is not erased in it.

The worker on this data directory may be running.`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVarP(&file, "output", "o", "", "the file to write; it must not be there yet")
	c.RunE = func(c *cobra.Command, args []string) error {
		sid, err := sidArg(args[0])
		if err != nil {
			return err
		}
		if file == "" {
			return usageError{errors.New("--output is missing: name the file to write")}
		}
		cfg, err := a.load(c)
		if err != nil {
			return err
		}
		seal, err := signing.LoadSeal(cfg)
		if err != nil {
			return err
		}
		return a.withSession(c, false, func(ctx context.Context, s *session.Session) error {
			content, err := operator.Gather(ctx, s, sid)
			if err != nil {
				return err
			}
			archive, err := evidence.Write(content, seal.Sign)
			if err != nil {
				return err
			}
			report, err := evidence.Verify(archive, checker{})
			if err != nil {
				return fmt.Errorf("%s was not written, because it would prove nothing: %w", file, err)
			}
			if err := writeNew(file, archive); err != nil {
				return err
			}
			return a.tell(report)
		})
	}
	c.AddCommand(a.evidenceVerify())
	return c
}

// writeNew writes a file that only its owner can read, and that was not there
// before. Where that fails nothing is left of it.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func (a *app) evidenceVerify() *cobra.Command {
	var signer string
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check an archive of evidence, without the log",
		Long: `Checks that an archive is to the last byte as countersign evidence wrote it: the signature of its manifest, the chain of
its lines, each file, and that the letter in it is the one that the log says was signed, with a seal that is whole. It
exits with 1 where anything does not fit, and names the first entry that does not.

Whose signature it is, is for you to judge: compare the fingerprint with the one of your seal's certificate, or
give it with --signer.`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&signer, "signer", "", "SHA-256 fingerprint that the signer's certificate must have")
	c.RunE = func(_ *cobra.Command, args []string) error {
		archive, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		report, err := evidence.Verify(archive, checker{})
		if err == nil && signer != "" && !strings.EqualFold(strings.ReplaceAll(signer, ":", ""), fingerprint(report.Signer)) {
			err = fmt.Errorf("its signer's certificate has the SHA-256 fingerprint %s, and not the one of --signer", fingerprint(report.Signer))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return a.tell(report)
	}
	return c
}

// tell says what an archive proves. The fingerprints come first: whoever made
// the archive chose its names, and the certificates' names, as they liked.
func (a *app) tell(r evidence.Report) error {
	m := r.Manifest
	t := a.out.Table()
	t.Row("signer", "SHA-256 "+fingerprint(r.Signer))
	if r.Seal != nil {
		t.Row("seal", "SHA-256 "+fingerprint(r.Seal))
	}
	t.Row("document", fmt.Sprintf("%s of account %s", m.Document, m.Account))
	if m.Erased > 0 {
		t.Row("status", fmt.Sprintf("erased; it was %s. What was said of it is off the log, and entry %d says so", m.Status, m.Erased))
	} else {
		t.Row("status", fmt.Sprintf("%s, as of entry %d, %s", m.Status, m.Sequence, stamp(m.Time)))
	}
	t.Row("entries", fmt.Sprintf("%d of the log that began %s", r.Entries, stamp(m.Stream)))
	switch by := terminal.Short(r.Signed.String(), 64); r.Signed.Writer {
	case "":
	case workflow.WriterPage:
		t.Row("signed", fmt.Sprintf("on %s, in entry %d", by, r.Signed.Entry))
	default:
		t.Row("signed", fmt.Sprintf("elsewhere: %s says so in entry %d. The signing page saw no visit, and no seal vouches for one", by, r.Signed.Entry))
	}
	switch {
	case r.Seal != nil:
		t.Row("letter", fmt.Sprintf("%s, as the log says; sealed by %s", r.Letter, nameOf(r.Seal)))
		if !r.Stamped.IsZero() {
			t.Row("stamped", stamp(r.Stamped)+" by a time-stamp authority; pdfsig or another reader tells whose")
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

// fingerprint is how people compare certificates.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// checker checks signatures by package letter, which made them.
type checker struct{}

// Signature implements evidence.Checker.
func (checker) Signature(content, der []byte) (*x509.Certificate, error) {
	return letter.CheckSignature(content, der)
}

// Seal implements evidence.Checker.
func (checker) Seal(pdf []byte) (*x509.Certificate, time.Time, error) {
	sealed, err := letter.Check(pdf)
	return sealed.Certificate, sealed.Stamped, err
}
