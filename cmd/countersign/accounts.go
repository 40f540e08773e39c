package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"countersign/internal/accounts"
	"countersign/internal/show"
	"countersign/workflow"
)

func (a *app) accounts() *cobra.Command {
	c := &cobra.Command{
		Use:   "accounts",
		Short: "Say who may use the REST API",
		Long:  "Changes the accounts file; see --accounts-file. A worker that runs notices within a second.\nTokens and secrets are printed once and kept hashed.",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	c.AddCommand(a.accountsAdd(), a.accountsList(),
		a.accountsDo("rotate", "Give an account a new token; the one before it stays good until the next rotation",
			func(f *accounts.File, sid workflow.SID) error {
				token, err := f.Rotate(sid)
				return a.printOnce(token, err)
			}),
		a.accountsDo("disable", "Shut an account out of the REST API; its documents go on",
			func(f *accounts.File, sid workflow.SID) error { return f.Disable(sid, true) }),
		a.accountsDo("enable", "Let a disabled account in again",
			func(f *accounts.File, sid workflow.SID) error { return f.Disable(sid, false) }),
		a.accountsDo("add-key", "Give an account an API key; prints its sid and its secret",
			func(f *accounts.File, sid workflow.SID) error {
				key, secret, err := f.AddKey(sid)
				return a.printOnce(string(key)+" "+secret, err)
			}),
		a.accountsDo("remove-key", "End an API key (--sid SK…)",
			func(f *accounts.File, sid workflow.SID) error { return f.RemoveKey(sid) }),
	)
	return c
}

// printOnce prints what is shown once.
func (a *app) printOnce(secret string, err error) error {
	if err != nil {
		return err
	}
	return a.out.Linef("%s", secret)
}

// accountsFile opens the accounts file that the settings name, for a command
// about sid.
func (a *app) accountsFile(c *cobra.Command, sid string) (*accounts.File, error) {
	if sid == "" {
		return nil, usageError{errors.New("--sid is needed: whom it is about")}
	}
	cfg, err := a.load(c)
	if err != nil {
		return nil, err
	}
	return accounts.Open(cfg.AccountsFile, time.Now, logger(a.err, cfg)), nil
}

func (a *app) accountsAdd() *cobra.Command {
	var sid, token string
	c := &cobra.Command{
		Use:   "add",
		Short: "Add an account and print its token",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := a.accountsFile(c, sid)
			if err != nil {
				return err
			}
			token, err := f.Add(workflow.SID(sid), token)
			return a.printOnce(token, err)
		},
	}
	c.Flags().StringVar(&sid, "sid", "", "the account's sid: AC and 32 hex digits")
	c.Flags().StringVar(&token, "token", "", "its token, letters and digits; one is made where none is given")
	return c
}

// accountsDo is a command that does one thing to the account, or key, that
// --sid names.
func (a *app) accountsDo(use, short string, do func(*accounts.File, workflow.SID) error) *cobra.Command {
	var sid string
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := a.accountsFile(c, sid)
			if err != nil {
				return err
			}
			return do(f, workflow.SID(sid))
		},
	}
	c.Flags().StringVar(&sid, "sid", "", "whom it is about")
	return c
}

func (a *app) accountsList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List accounts and their API keys",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := a.accountsFile(c, "-")
			if err != nil {
				return err
			}
			list, err := f.List()
			if err != nil {
				return err
			}
			if asJSON {
				return show.EachJSON(a.out, list)
			}
			return show.Accounts(a.out, list)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}
