package main

import (
	"context"
	"crypto/x509"
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
	"countersign/internal/show"
	"countersign/internal/signing"
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
			return show.Evidence(a.out, report)
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
		if err == nil && signer != "" && !strings.EqualFold(strings.ReplaceAll(signer, ":", ""), show.Fingerprint(report.Signer)) {
			err = fmt.Errorf("its signer's certificate has the SHA-256 fingerprint %s, and not the one of --signer", show.Fingerprint(report.Signer))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return show.Evidence(a.out, report)
	}
	return c
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
