package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"countersign/internal/evidence"
	"countersign/internal/operator"
	"countersign/internal/private"
	"countersign/internal/session"
	"countersign/internal/show"
	"countersign/internal/signing"
)

func (a *app) evidence() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "evidence PX…",
		Short: "Write the evidence about a document into one archive",
		Long: `Writes one ZIP file: the signed letter, every event of the document as the log has it, its emails with their outcomes, and a
manifest with a chain of digests, signed with the key that seals letters. countersign evidence verify checks the file without
the log. The file holds personal data; a later erasure does not reach it.

The worker on this data directory may be running.`,
		Example: "  countersign evidence PX4f1c --output evidence.zip",
		Args:    aDocument,
	}
	c.Flags().StringVarP(&file, "output", "o", "", "the file to write; it must not exist yet")
	c.RunE = func(c *cobra.Command, args []string) error {
		if file == "" {
			return usagef("--output is missing: name the file to write")
		}
		return a.withSession(c, session.Options{}, func(ctx context.Context, s *session.Session) error {
			seal, err := signing.LoadSeal(s.Config)
			if err != nil {
				return err
			}
			archive, report, err := operator.Evidence(ctx, s, args[0], seal.Sign)
			if err != nil {
				return err
			}
			if err := private.WriteNew(file, archive); err != nil {
				return err
			}
			return show.Evidence(a.out, report)
		})
	}
	c.AddCommand(a.evidenceVerify())
	return c
}

func (a *app) evidenceVerify() *cobra.Command {
	var signer string
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check an archive of evidence, without the log",
		Long: `Checks that every byte of an archive is as countersign evidence wrote it: the signature of its manifest, the chain of digests,
each file, and that its letter is the one that the log says was signed, with an intact seal. The exit code is 1 if
anything does not fit; the error names the first entry that does not.

Whose signature it is, you must judge: compare the fingerprint with that of your seal's certificate, or give it with
--signer.`,
		Example: "  countersign evidence verify evidence.zip --signer 5a1f…",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&signer, "signer", "", "SHA-256 fingerprint that the signer's certificate must have")
	c.RunE = func(_ *cobra.Command, args []string) error {
		archive, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		report, err := evidence.Verify(archive)
		if err == nil && c.Flags().Changed("signer") && !strings.EqualFold(strings.ReplaceAll(signer, ":", ""), show.Fingerprint(report.Signer)) {
			err = fmt.Errorf("the signer's certificate has the SHA-256 fingerprint %s, which is not the one of --signer", show.Fingerprint(report.Signer))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return show.Evidence(a.out, report)
	}
	return c
}
