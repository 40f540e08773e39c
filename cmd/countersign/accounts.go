package main

import (
	"time"

	"github.com/spf13/cobra"

	"countersign/internal/accounts"
	"countersign/internal/show"
	"countersign/internal/webhook"
	"countersign/workflow"
)

func (a *app) accounts() *cobra.Command {
	return parent("accounts", "Say who may use the REST API",
		`Changes the accounts file; see --accounts-file. A running worker reads the change within a second.
Tokens and secrets are printed once and kept hashed; tokens are also kept encrypted by the webhook key, because they sign callbacks.`,
		a.accountsAdd(), a.accountsList(),
		a.change("rotate", "Give an account a new token; the one before it stays good until the next rotation", "given a new token",
			func(f *accounts.File, sid workflow.SID) (string, error) { return f.Rotate(sid) }),
		a.change("disable", "Shut an account out of the REST API; its documents go on", "disabled",
			func(f *accounts.File, sid workflow.SID) (string, error) { return "", f.Disable(sid, true) }),
		a.change("enable", "Let a disabled account in again", "enabled",
			func(f *accounts.File, sid workflow.SID) (string, error) { return "", f.Disable(sid, false) }),
		a.change("add-key", "Give an account an API key; prints its sid and its secret", "given an API key",
			func(f *accounts.File, sid workflow.SID) (string, error) {
				key, secret, err := f.AddKey(sid)
				return string(key) + " " + secret, err
			}),
		a.change("remove-key", "Remove an API key (--sid SK…); requests with it are refused", "removed",
			func(f *accounts.File, sid workflow.SID) (string, error) { return "", f.RemoveKey(sid) }),
	)
}

func (a *app) accountsAdd() *cobra.Command {
	var token string
	c := a.change("add", "Add an account and print its token", "added",
		func(f *accounts.File, sid workflow.SID) (string, error) { return f.Add(sid, token) })
	c.Flags().StringVar(&token, "token", "", "its token, letters and digits; without this flag one is made")
	return c
}

// change makes a command that does one thing to the account, or the API key, that
// --sid names. do returns what is printed, once. done says what was done to it.
func (a *app) change(use, short, done string, do func(*accounts.File, workflow.SID) (string, error)) *cobra.Command {
	var sid string
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	c.Flags().StringVar(&sid, "sid", "", "the account (AC and 32 hex digits); for remove-key the API key (SK and 32 hex digits)")
	dryRun := dryRunFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if sid == "" {
			return usagef("--sid is missing: name the account, or the key that remove-key removes")
		}
		f, err := a.accountsFile(c)
		if err != nil {
			return err
		}
		f.DryRun = *dryRun
		once, err := do(f, workflow.SID(sid))
		switch {
		case err != nil:
			return err
		case *dryRun:
			return a.out.Linef("%s would be %s", sid, done)
		case once == "":
			return nil
		}
		return a.out.Linef("%s", once)
	}
	return c
}

// accountsFile opens the accounts file that the settings name.
func (a *app) accountsFile(c *cobra.Command) (*accounts.File, error) {
	cfg, err := a.load(c)
	if err != nil {
		return nil, err
	}
	return accounts.Open(cfg.AccountsFile, time.Now, logger(a.err, cfg)).Sealing(webhook.OpenKey(cfg.WebhookKey, time.Now, logger(a.err, cfg)).Seal), nil
}

func (a *app) accountsList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List accounts and their API keys", Args: cobra.NoArgs}
	asJSON := jsonLines(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		f, err := a.accountsFile(c)
		if err != nil {
			return err
		}
		list, err := f.List()
		if err != nil {
			return err
		}
		return show.List(a.out, *asJSON, list, show.Accounts)
	}
	return c
}
