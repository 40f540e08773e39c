package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"countersign/internal/config"
)

// TestLoad_FilesThatOthersCanReadOrChangeAreRefused gives each setting that
// names a file with a secret a file with several modes.
func TestLoad_FilesThatOthersCanReadOrChangeAreRefused(t *testing.T) {
	for name, given := range map[string][]string{ // FILE is the file with the mode
		"nats-creds": {"COUNTERSIGN_NATS_CREDS=FILE", "COUNTERSIGN_NATS_URL=nats://h"},
		"nats-key":   {"COUNTERSIGN_NATS_KEY=FILE", "COUNTERSIGN_NATS_CERT=FILE", "COUNTERSIGN_NATS_URL=nats://h"},
		"dkim-key":   {"COUNTERSIGN_DKIM_KEY=FILE", "COUNTERSIGN_DKIM_DOMAIN=h", "COUNTERSIGN_DKIM_SELECTOR=s"},
		"seal-key":   {"COUNTERSIGN_SEAL_KEY=FILE", "COUNTERSIGN_SEAL_CERT=FILE"},
		"tls-key":    {"COUNTERSIGN_TLS_KEY=FILE", "COUNTERSIGN_TLS_CERT=FILE"},
		"smtp-url":   {"COUNTERSIGN_SMTP_URL_FILE=FILE"},
		"nats-url":   {"COUNTERSIGN_NATS_URL_FILE=FILE"},
		"config":     {"COUNTERSIGN_CONFIG=FILE"},
	} {
		content := "smtp://u:p@h:25"
		switch name {
		case "nats-url":
			content = "nats://u:p@h"
		case "config":
			content = "smtp-url: " + content
		}
		for mode, ok := range map[os.FileMode]bool{
			0o600: true, 0o400: true, 0o440: true, 0o640: true, // 0440: systemd's LoadCredential, Kubernetes's fsGroup
			0o644: false, 0o444: false, 0o604: false, 0o602: false, 0o660: false, 0o666: false, 0o620: false, 0o777: false,
		} {
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(t.TempDir(), "link") // as Kubernetes mounts secrets
			if err := os.Symlink(file, link); err != nil {
				t.Fatal(err)
			}
			err := load(given, link)
			if ok && err != nil {
				t.Errorf("%s, mode %#o: %v", name, mode, err)
			}
			if !ok && (err == nil || !strings.Contains(err.Error(), "chmod 600 "+link) || strings.Contains(err.Error(), "u:p")) {
				t.Errorf("%s, mode %#o: the error is %v", name, mode, err)
			}
		}
	}
}

// TestLoad_FileWithoutPasswordMayBeRead has settings that are nobody's secret.
func TestLoad_FileWithoutPasswordMayBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("smtp-url: smtp://h:25\nmail-from: loa@example.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := load([]string{"COUNTERSIGN_CONFIG=FILE"}, file); err != nil {
		t.Error(err)
	}
}

// load loads the settings; FILE as a value stands for file.
func load(given []string, file string) error {
	var environ []string
	for _, g := range given {
		if name, isFile := strings.CutSuffix(g, "=FILE"); isFile {
			g = name + "=" + file
		}
		environ = append(environ, g)
	}
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.Flags(fs)
	_, err := config.Load(fs, environ)
	return err
}
