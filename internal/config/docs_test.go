package config_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"countersign/internal/config"

	"github.com/google/go-cmp/cmp"
)

func TestConfig_SecretsStayHidden(t *testing.T) {
	c := given{args: []string{"--smtp-url=smtp://user:hunter2@mail.example.com:587?tls=none", "--nats-url=nats://hunter2@n1,nats://u:hunter2@n2:4222"}}.mustLoad(t)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "config", c, "url", c.SMTPURL)
	js, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	_, fault := given{args: []string{"--smtp-url=smtp://user:hunter2/@h", "--nats-url=hunter2"}}.load(t)
	for name, text := range map[string]string{
		"String": c.String(), "%v": fmt.Sprintf("%v", c), "%+v": fmt.Sprintf("%+v", &c), "%#v": fmt.Sprintf("%#v", c),
		"slog": log.String(), "JSON": string(js), "fault": fault,
	} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s shows the password: %s", name, text)
		}
		if name != "fault" && !strings.Contains(text, "smtp://mail.example.com:587") {
			t.Errorf("%s does not show the mail server: %s", name, text)
		}
	}
	if got := config.Secret("hunter2").String(); got != "(hidden)" {
		t.Errorf("a secret that is no URL shows as %q", got)
	}
}

var update = flag.Bool("update", false, "write the table of settings into docs/configuration.md")

func TestMarkdown_DocsHaveTheTable(t *testing.T) {
	const (
		file  = "../../docs/configuration.md"
		begin = "<!-- config:begin -->\n"
		end   = "<!-- config:end -->"
	)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("docs/configuration.md has no %s and %s", strings.TrimSpace(begin), end)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+config.Markdown()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(config.Markdown(), old); diff != "" {
		t.Errorf("run make generate (- is the table, + is docs/configuration.md):\n%s", diff)
	}
}
