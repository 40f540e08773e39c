package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"countersign/internal/config"
)

// Settings that commands have as flags.
var (
	forLogging  = []string{"config", "log-level", "log-format"}
	forDatabase = slices.Concat(forLogging, []string{"data-dir"})
	forLog      = slices.Concat(forDatabase, []string{
		"nats-url", "nats-creds", "nats-context", "nats-ca", "nats-cert", "nats-key", "nats-inbox-prefix", "nats-listen", "nats-token-file",
	})
	forFold = slices.Concat(forLog, []string{"nats-sync", "replicas"}) // a session, which may start the embedded server
	forKeys = slices.Concat(forDatabase, []string{"keys-file"})
)

// settingsOf names the settings that each command has as flags. serve and dev
// have all of them. The environment and the file may have every setting for
// every command.
var settingsOf = map[string][]string{
	"serve":            nil,
	"dev":              nil,
	"publish":          forLog,
	"bounce":           forLog,
	"bounces unread":   forLog,
	"documents list":   forDatabase,
	"documents show":   forDatabase,
	"documents resend": forLog,
	"documents recall": forLog,
	"documents cancel": forLog,
	"dead list":        forDatabase,
	"dead show":        forLog,
	"dead redrive":     forLog,
	"dead discard":     forLog,
	"rules show":       forDatabase,
	"rules activate":   forLog,
	"accounts":         slices.Concat(forDatabase, []string{"accounts-file"}),
	"keys list":        slices.Concat(forKeys, []string{"link-lifetime", "expire-after", "mail-give-up-after"}),
	"keys rotate":      forKeys,
	"keys prune":       slices.Concat(forKeys, []string{"link-lifetime", "expire-after", "mail-give-up-after"}),
	"snapshot take":    slices.Concat(forFold, []string{"snapshot-keep"}),
	"snapshot list":    forFold,
	"rebuild":          forFold,
	"new-log":          forFold,
	"verify":           forFold,
	"dump":             forDatabase,
	"replay":           forFold,
	"erase":            slices.Concat(forFold, []string{"snapshot-keep"}),
	"evidence":         slices.Concat(forFold, []string{"keys-file", "seal-cert", "seal-key"}),
	"evidence verify":  {},
	"version":          {},
}

// addSettings gives a command and those below it the flags that settingsOf
// names; a command without a row has those of the command above it.
func addSettings(c *cobra.Command, above []string) {
	settings, ok := settingsOf[strings.TrimPrefix(c.CommandPath(), "countersign ")]
	switch {
	case !ok:
		settings = above
	case settings == nil:
		config.Flags(c.Flags())
	}
	if len(settings) > 0 && !isGroup(c) {
		config.Flags(c.Flags(), settings...)
	}
	for _, sub := range c.Commands() {
		addSettings(sub, settings)
	}
}

// isGroup reports whether a command only holds others.
func isGroup(c *cobra.Command) bool {
	return c.HasSubCommands() && !c.HasLocalFlags()
}

// flagError says what to do about a flag that a command does not have.
func flagError(c *cobra.Command, err error) error {
	missing, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return exitError{err, exitUsage}
	}
	name := missing.GetSpecifiedName()
	if config.IsSetting(name) {
		return usagef("%s does not use the setting %s: leave --%s out", c.CommandPath(), name, name)
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := config.Nearest(name, known, max(2, len(name)/3)); near != "" {
		return usagef("%w; did you mean --%s?", err, near)
	}
	return usagef("%w; see %s --help", err, c.CommandPath())
}

// previewFlags adds --yes and --dry-run to a command that destroys data. It does
// so with --yes only. do reports whether it is there; finish returns the error
// after what would be done was printed.
func previewFlags(c *cobra.Command) (do *bool, finish func() error) {
	yes := c.Flags().Bool("yes", false, "do it; without this flag or --dry-run the command says what would be lost, and fails")
	dryRun := dryRunFlag(c)
	c.PreRunE = func(*cobra.Command, []string) error {
		if *yes && *dryRun {
			return usagef("--yes and --dry-run exclude each other; leave one out")
		}
		return nil
	}
	return yes, func() error {
		if *dryRun {
			return nil
		}
		return usagef("nothing was changed; give --yes to do it, or --dry-run only to look")
	}
}

// isOrWouldBe says whether something was done, or would be without --dry-run.
func isOrWouldBe(dryRun bool) string {
	if dryRun {
		return "would be"
	}
	return "is"
}

// dryRunFlag adds the flag --dry-run, which is the same for every command.
func dryRunFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("dry-run", false, "change nothing, and say what would be done")
}
