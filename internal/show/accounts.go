package show

import (
	"strings"

	"countersign/internal/accounts"
	"countersign/internal/terminal"
)

// Accounts prints accounts with their API keys. No token is among what it prints.
func Accounts(out *terminal.Printer, list []accounts.Account) error {
	t := out.Table("ACCOUNT", "STATE", "ADDED", "TOKENS", "API KEYS")
	for _, account := range list {
		state := "active"
		if account.Disabled {
			state = "disabled"
		}
		keys := make([]string, len(account.Keys))
		for i, k := range account.Keys {
			keys[i] = string(k.SID)
		}
		t.Row(account.SID, state, Stamp(account.Created), len(account.Tokens), strings.Join(keys, " "))
	}
	return t.Flush()
}
