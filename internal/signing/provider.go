package signing

import (
	"fmt"
	netmail "net/mail"
	"strings"

	"countersign/internal/config"
	"countersign/internal/letter/fonts"
)

// Provider is who hosts the messages, as letters and the signing page name it.
func Provider(cfg config.Config) string {
	if cfg.Provider != "" {
		return cfg.Provider
	}
	from, err := netmail.ParseAddress(cfg.MailFrom)
	if err != nil {
		return cfg.MailFrom // the worker's start refuses it
	}
	if from.Name != "" {
		return from.Name
	}
	return from.Address[strings.LastIndexByte(from.Address, '@')+1:]
}

// CheckProvider fails if letters cannot print the provider's name: no letter could
// be signed then.
func CheckProvider(cfg config.Config) error {
	if r, ok := fonts.Missing(Provider(cfg)); ok {
		return fmt.Errorf("--provider: letters cannot print the character %q (%U) of the provider's name, which is that of --mail-from if --provider is not set; set --provider to a name in Latin, Greek or Cyrillic letters", r, r)
	}
	return nil
}
