package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"countersign/internal/config"
	"countersign/internal/terminal"
)

// leaves are the commands that do something, by their path without the
// program's name.
func leaves() map[string]*cobra.Command {
	a := &app{out: terminal.New(io.Discard), err: terminal.New(io.Discard)}
	out := map[string]*cobra.Command{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if !isGroup(c) {
			out[strings.TrimPrefix(c.CommandPath(), "countersign ")] = c
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	for _, c := range a.root().Commands() {
		walk(c)
	}
	return out
}

// settingFlags are the settings that a command has as flags.
func settingFlags(c *cobra.Command) (list []string) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if config.IsSetting(f.Name) {
			list = append(list, f.Name)
		}
	})
	return list
}

func TestAddSettings_EachCommandHasWhatItUses(t *testing.T) {
	all := leaves()
	for path, c := range all {
		_, own := config.CommandSettings[path]
		_, above := config.CommandSettings[strings.TrimPrefix(c.Parent().CommandPath(), "countersign ")]
		if !own && !above {
			t.Errorf("%s has no row", path)
		}
	}
	for path := range config.CommandSettings {
		if path != "accounts" && path != "webhooks" && all[path] == nil {
			t.Errorf("there is no command %s", path)
		}
	}
	every := len(settingFlags(all["serve"]))
	if every < 50 || len(settingFlags(all["dev"])) != every {
		t.Errorf("serve has %d settings, dev %d", every, len(settingFlags(all["dev"])))
	}
	for path, want := range map[string][]string{
		"version":          nil,
		"evidence verify":  nil,
		"accounts add":     {"accounts-file", "config", "data-dir", "log-format", "log-level", "webhook-key"},
		"documents list":   {"config", "data-dir", "log-format", "log-level"},
		"accounts add-key": {"accounts-file", "config", "data-dir", "log-format", "log-level", "webhook-key"},
	} {
		if got := settingFlags(all[path]); !slices.Equal(got, want) {
			t.Errorf("%s has the settings %q, want %q", path, got, want)
		}
	}
	for _, path := range []string{"publish", "bounce", "bounces unread discard", "documents cancel", "dead redrive", "rules activate", "rebuild", "replay"} {
		if got := settingFlags(all[path]); !slices.Contains(got, "nats-url") || slices.Contains(got, "smtp-url") {
			t.Errorf("%s has the settings %q", path, got)
		}
	}
}

// A command whose settings are no flags of its own takes them from the
// environment, as every command does.
func TestFlagError_SaysWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"serve", "--mail-form", "x"}, "did you mean --mail-from?"},
		{[]string{"accounts", "add", "--sdi", "x"}, "did you mean --sid?"},
		{[]string{"documents", "resend", "--dryrun"}, "did you mean --dry-run?"},
		{[]string{"accounts", "list", "--smtp-url", "smtp://x"}, "countersign accounts list does not use the setting smtp-url: leave --smtp-url out"},
		{[]string{"version", "--wholly-unknown"}, "see countersign version --help"},
		{[]string{"rebuild", "-q"}, "see countersign rebuild --help"},
	} {
		if _, errs := do(t, nil, exitUsage, tt.args...); !strings.Contains(errs, tt.says) {
			t.Errorf("%q: %s", tt.args, errs)
		}
	}
}

// Every command that previews does so by the same flag.
func TestDryRunFlag_IsTheSameForEveryCommand(t *testing.T) {
	var have []string
	for path, c := range leaves() {
		if f := c.Flags().Lookup("dry-run"); f != nil {
			have = append(have, path)
			if f.Usage != "change nothing, and say what would be done" {
				t.Errorf("%s: %s", path, f.Usage)
			}
		}
	}
	slices.Sort(have)
	want := []string{
		"accounts add", "accounts add-key", "accounts disable", "accounts enable", "accounts remove-key", "accounts rotate", "bounce", "bounces unread discard",
		"dead discard", "dead redrive", "documents cancel", "documents recall", "documents resend", "erase", "keys prune", "keys rotate", "new-log", "publish",
		"rebuild", "replay", "rules activate", "snapshot take", "webhooks add",
		"webhooks disable", "webhooks enable", "webhooks redrive", "webhooks remove", "webhooks rotate", "webhooks test",
	}
	if !slices.Equal(have, want) {
		t.Errorf("these have it: %q, want %q", have, want)
	}
	for _, args := range [][]string{{"erase", "PX0001", "--yes", "--dry-run"}, {"new-log", "--yes", "--dry-run"}} {
		if _, errs := do(t, nil, exitUsage, args...); !strings.Contains(errs, "exclude each other") {
			t.Errorf("%q: %s", args, errs)
		}
	}
}

func TestUnknownValue_ListsTheKnown(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"documents", "list", "--status", "sent"}, `--status must be one of opened, signing, signed, canceled, failed; got "sent"`},
		{[]string{"documents", "list", "--account", "me"}, "--account must be AC and 32 hex digits"},
		{[]string{"dead", "list", "--account", "PX" + strings.Repeat("0", 32)}, "--account must be AC and 32 hex digits"},
		{[]string{"dead", "list", "--code", "order_token"}, "order_taken, number_taken"},
		{[]string{"dead", "list", "--document", "PX1"}, "at least the first 4"},
	} {
		if _, errs := do(t, nil, exitUsage, tt.args...); !strings.Contains(errs, tt.says) {
			t.Errorf("%q: %s", tt.args, errs)
		}
	}
}

// TestCountersign_ValuesThatCannotBeAreErrorsOfTheCall: before anything is sent.
func TestCountersign_ValuesThatCannotBeAreErrorsOfTheCall(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"documents", "resend", "PX00000000000000000000000000000001", "--wait", "-1s"},
		{"dead", "redrive", "7", "--wait", "-1s"},
		{"dead", "discard", "7", "--reason", "  "},
		{"dead", "discard", "7", "--reason", "a\x01b"},
		{"publish", "../../examples/day.jsonl", "--timeout", "0"},
		{"publish", "../../examples/day.jsonl", "--rate", "NaN"},
		{"erase", "PX00000000000000000000000000000001", "--yes", "--dry-run"},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), append(args, "--data-dir", dir), nil, &out, &out); code != exitUsage || !strings.Contains(out.String(), "--") {
			t.Errorf("%v: exit code %d, %s", args, code, out.String())
		}
	}
}
