package signing_test

import (
	"strings"
	"testing"

	"countersign/internal/config"
	"countersign/internal/signing"
)

func TestCheckProvider_NameThatLettersCannotPrint(t *testing.T) {
	for _, c := range []struct {
		cfg config.Config
		bad string // the character that is named
	}{
		{config.Config{Provider: "Nguyễn Nhắn Tin"}, ""},
		{config.Config{MailFrom: "Kāneʻohe <loa@example.com>"}, ""},
		{config.Config{Provider: "Example", MailFrom: "株式会社 <loa@example.com>"}, ""},
		{config.Config{Provider: "Example 株式会社"}, "株"},
		{config.Config{MailFrom: "=?UTF-8?Q?=E6=A0=AA?= <loa@example.com>"}, "株"},
		{config.Config{MailFrom: "رسائل <loa@example.com>"}, "ر"},
	} {
		err := signing.CheckProvider(c.cfg)
		if c.bad == "" && err != nil {
			t.Errorf("%q, %q: %v", c.cfg.Provider, c.cfg.MailFrom, err)
		}
		if c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%q, %q: %v; want %q named", c.cfg.Provider, c.cfg.MailFrom, err, c.bad)
		}
	}
}
