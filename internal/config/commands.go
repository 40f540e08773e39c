package config

import (
	"fmt"
	"slices"
	"time"
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

// CommandSettings names the settings that each command has as flags; a command without
// a row has those of the command above it. serve and dev
// have all of them. The environment and the file may have every setting for
// every command.
var CommandSettings = map[string][]string{
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
	"accounts":         slices.Concat(forDatabase, []string{"accounts-file", "webhook-key"}),
	"keys list":        slices.Concat(forKeys, []string{"link-lifetime", "expire-after", "mail-give-up-after"}),
	"keys rotate":      forKeys,
	"keys prune":       slices.Concat(forKeys, []string{"link-lifetime", "expire-after", "mail-give-up-after"}),
	"snapshot take":    slices.Concat(forFold, []string{"snapshot-keep"}),
	"snapshot list":    forFold,
	"rebuild":          forFold,
	"new-log":          forFold,
	"verify":           forFold,
	"dump":             forDatabase,
	"webhooks":         slices.Concat(forLog, []string{"webhook-key", "webhook-allow", "webhook-ca"}),
	"webhooks list":    forDatabase,
	"replay":           forFold,
	"erase":            slices.Concat(forFold, []string{"snapshot-keep"}),
	"evidence":         slices.Concat(forFold, []string{"keys-file", "seal-cert", "seal-key"}),
	"evidence verify":  {},
	"version":          {},
}

// Since reads the value of a flag --since: a time such as 2026-11-23T15:04:05Z, or a
// duration before now. It is zero if the text is empty.
func Since(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("must be a time such as 2026-11-23T15:04:05Z or a duration such as 36h; got %q", text)
	}
	return at, nil
}
