package config_test

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/config"
	"countersign/workflow"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"
	"golang.org/x/crypto/acme/autocert"
)

// given is how one case gives its settings. In every text, DIR is a directory
// of the test with the files secret, empty and key.pem.
type given struct {
	args []string
	env  []string
	yaml string
	need []string
}

func (g given) load(t *testing.T) (config.Config, string) {
	t.Helper()
	dir := t.TempDir()
	fill := func(texts []string) []string {
		out := []string{}
		for _, s := range texts {
			out = append(out, strings.ReplaceAll(s, "DIR", dir))
		}
		return out
	}
	files := map[string]string{"secret": "smtp://u:from-file@h:25\n", "empty": "\n", "key.pem": "key"}
	if g.yaml != "" {
		files["c.yaml"] = fill([]string{g.yaml})[0]
		g.env = append([]string{"COUNTERSIGN_CONFIG=DIR/c.yaml"}, g.env...)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	fs.Bool("other", false, "a flag of the command's own")
	config.Flags(fs)
	if err := fs.Parse(fill(g.args)); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(fs, fill(g.env), g.need...)
	if err == nil {
		return c, ""
	}
	return c, strings.ReplaceAll(err.Error(), dir, "DIR")
}

func (g given) mustLoad(t *testing.T) config.Config {
	t.Helper()
	c, faults := g.load(t)
	if faults != "" {
		t.Fatalf("faults:\n%s", faults)
	}
	return c
}

func TestLoad_Defaults(t *testing.T) {
	want := config.Config{
		DataDir: "./data", NATSListen: "127.0.0.1:4222", NATSTokenFile: "data/nats-token", Replicas: 1,
		MailPool: 8, MailDeadline: 30 * time.Second, MailRetryFirst: time.Minute, MailRetryMax: 4 * time.Hour,
		MailGiveUpAfter: 48 * time.Hour, MailInDoubt: config.Resend,
		SnapshotEvery: 24 * time.Hour, SnapshotKeep: 3, LetterDelivery: config.Attach,
		LinkLifetime: 720 * time.Hour, ParkingLimit: 24 * time.Hour, RemindAfter: 72 * time.Hour,
		RemindEvery: 72 * time.Hour, RemindMost: 4, ExpireAfter: 720 * time.Hour, FreshFor: 720 * time.Hour,
		MailRecipientDay: 100, MailDocumentInterval: 10 * time.Second, MailDocumentDay: 30, PublicURL: "http://127.0.0.1:8080", LetterRequires: []workflow.LetterPart{workflow.PartNumber},
		Listen: "127.0.0.1:8080", AdminListen: "127.0.0.1:8081", AccountsFile: "data/accounts", KeysFile: "data/keys", WebhookKey: "data/webhook-key", LogFormat: config.LogAuto,
		ACMEDirectory: autocert.DefaultACMEDirectory, APIAccountRate: 100, APIAddressRate: 200, UnknownOrders: config.Accept,
	}
	if diff := cmp.Diff(want, given{}.mustLoad(t)); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_EverySettingIsRead(t *testing.T) {
	want := config.Config{
		File: "DIR/c.yaml", DataDir: "/var/lib/countersign", NATSURL: "nats://n1:4222,tls://n2", NATSCreds: "DIR/key.pem",
		NATSCA: "DIR/key.pem", NATSCert: "DIR/key.pem", NATSKey: "DIR/key.pem", NATSTokenFile: "/run/nats-token", NATSSync: 2 * time.Minute, Replicas: 3,
		SMTPURL: "smtp://u:p@h:587?tls=none", SMTPCA: "DIR/key.pem", SMTPTokenFile: "DIR/key.pem", MailHELO: "[IPv6:2001:db8::1]", MailFrom: "Hosting Team <loa@example.com>", MailReplyTo: "help@example.com", MailReturnPath: "bounces@example.com",
		MailPool: 256, MailDeadline: time.Second, MailRetryFirst: 2 * time.Minute, MailRetryMax: time.Hour,
		MailGiveUpAfter: 3 * time.Hour, MailInDoubt: config.Hold, MailRate: 12.5, MailDomainRate: 2, MailRecipientDay: 7,
		MailDocumentInterval: time.Minute, MailDocumentDay: 9,
		DKIMDomain: "example.com", DKIMSelector: "loa", DKIMKey: "DIR/key.pem", SnapshotKeep: 7, Provider: "Example Messaging",
		SealCert: "DIR/key.pem", SealKey: "DIR/key.pem", TSAURL: "http://tsa.example.com/tsr", LetterDelivery: config.Neither, LinkLifetime: time.Hour, ParkingLimit: time.Minute,
		RemindAfter: time.Hour, RemindMost: 2, ExpireAfter: 24 * time.Hour, NotifyCC: []workflow.Status{workflow.Canceled, workflow.Failed},
		LetterRequires: []workflow.LetterPart{workflow.PartNumber, workflow.PartTitle},
		PublicURL:      "https://sign.example.com", Listen: ":80", AdminListen: "[::1]:0", AdminHosts: []string{"countersign.monitoring.svc", "my_admin"}, AccountsFile: "/var/lib/countersign/accounts", KeysFile: "/k",
		WebhookKey: "/w", WebhookCA: "DIR/key.pem", WebhookNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::1/128")}, WebhookHosts: []string{"hooks.internal"},
		TLSCert: "DIR/key.pem", TLSKey: "DIR/key.pem", ACMEDirectory: "https://ca.example.com/dir",
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("fd00::/8")}, APIAccountRate: 0.5, UnknownOrders: config.Refuse,
		NATSInboxPrefix: "_INBOX.loa", LogLevel: slog.LevelWarn, LogFormat: config.LogText,
	}
	got := given{yaml: `
data-dir: /var/lib/countersign
nats-url: nats://n1:4222,tls://n2
nats-creds: DIR/key.pem
nats-ca: DIR/key.pem
nats-cert: DIR/key.pem
nats-key: DIR/key.pem
nats-inbox-prefix: _INBOX.loa
nats-listen: off
nats-token-file: /run/nats-token
nats-sync: 2m
replicas: 3
smtp-url: smtp://u:p@h:587?tls=none
smtp-ca: DIR/key.pem
smtp-oauth-token-file: DIR/key.pem
mail-helo: "[IPv6:2001:db8::1]"
mail-from: Hosting Team <loa@example.com>
mail-reply-to: help@example.com
mail-return-path: bounces@example.com
mail-pool: 256
mail-deadline: 1s
mail-retry-first: 2m
mail-retry-max: 1h
mail-give-up-after: 3h
mail-in-doubt: hold
mail-rate: 12.5
mail-domain-rate: 2
mail-recipient-day: 7
dkim-domain: example.com
dkim-selector: loa
dkim-key: DIR/key.pem
snapshot-every: off
snapshot-keep: 7
provider: Example Messaging
seal-cert: DIR/key.pem
seal-key: DIR/key.pem
tsa-url: http://tsa.example.com/tsr
letter-delivery: neither
link-lifetime: 1h
parking-limit: 1m
remind-after: 1h
remind-every: off
remind-most: 2
expire-after: 24h
fresh-for: off
mail-document-interval: 1m
mail-document-day: 9
notify-cc: failed,canceled
letter-requires: title,number
public-url: https://sign.example.com
listen: :80
admin-listen: "[::1]:0"
admin-hosts: countersign.monitoring.svc,my_admin
keys-file: /k
webhook-key: /w
webhook-allow: 10.1.0.0/16,Hooks.internal,::1
webhook-ca: DIR/key.pem
tls-cert: DIR/key.pem
tls-key: DIR/key.pem
autocert: off
acme-directory: https://ca.example.com/dir
trusted-proxies: 127.0.0.1,fd00::1/8
api-account-rate: 0.5
api-address-rate: 0
unknown-orders: refuse
log-level: warn
log-format: text
`}.mustLoad(t)
	dir := filepath.Dir(got.File)
	for _, field := range []*string{&got.File, &got.NATSCreds, &got.NATSCA, &got.NATSCert, &got.NATSKey, &got.DKIMKey, &got.SMTPCA, &got.SMTPTokenFile, &got.TLSCert, &got.TLSKey, &got.SealCert, &got.SealKey, &got.WebhookCA} {
		*field = strings.Replace(*field, dir, "DIR", 1)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	if c := (given{args: []string{"--autocert=on", "--public-url=https://h"}}).mustLoad(t); !c.Autocert {
		t.Error("autocert stays off")
	}
	if c := (given{args: []string{"--smtp-oauth-token-command=print token", "--mail-helo=worker.example.com"}}).mustLoad(t); c.SMTPTokenCommand != "print token" ||
		c.MailHELO != "worker.example.com" || strings.Contains(c.String(), "print token") {
		t.Errorf("the token's command: %q in %s", string(c.SMTPTokenCommand), c)
	}
	if c := (given{args: []string{"--nats-context=prod"}}).mustLoad(t); c.NATSContext != "prod" || !c.External() {
		t.Errorf("nats-context: %q, external %t", c.NATSContext, c.External())
	}
}

func TestLoad_Precedence(t *testing.T) {
	var (
		yaml = "mail-pool: 1"
		env  = []string{"COUNTERSIGN_MAIL_POOL=2"}
		args = []string{"--mail-pool=3", "--other"}
	)
	for _, tt := range []struct {
		name  string
		given given
		want  int
	}{
		{"the file counts before the default", given{yaml: yaml}, 1},
		{"the environment counts before the file", given{yaml: yaml, env: env}, 2},
		{"an empty variable counts for nothing", given{yaml: yaml, env: []string{"COUNTERSIGN_MAIL_POOL="}}, 1},
		{"a flag counts before the environment", given{yaml: yaml, env: env, args: args}, 3},
		{"a flag counts before the file", given{yaml: yaml, args: args}, 3},
		{"a flag that says the default counts too", given{yaml: yaml, args: []string{"--mail-pool=8"}}, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.given.mustLoad(t).MailPool; got != tt.want {
				t.Errorf("mail-pool is %d, want %d", got, tt.want)
			}
		})
	}
}

func TestLoad_ConfigFlagNamesTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(file, []byte("mail-pool: 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := given{args: []string{"--config", file}, yaml: "mail-pool: 1"}.mustLoad(t)
	if c.MailPool != 5 || c.File != file {
		t.Errorf("mail-pool %d of %s", c.MailPool, c.File)
	}
}

func TestLoad_SecretFromFile(t *testing.T) {
	c := given{env: []string{"COUNTERSIGN_SMTP_URL_FILE=DIR/secret"}, need: []string{"smtp-url"}}.mustLoad(t)
	if got := string(c.SMTPURL); got != "smtp://u:from-file@h:25" {
		t.Errorf("smtp-url is %q", got)
	}
}

func TestLoad_Faults(t *testing.T) {
	const ways = `--mail-from, COUNTERSIGN_MAIL_FROM or mail-from in the --config file`
	for _, tt := range []struct {
		name  string
		given given
		want  []string
	}{
		{"needed and not given", given{need: []string{"smtp-url", "mail-from"}}, []string{
			`smtp-url is missing: set --smtp-url, COUNTERSIGN_SMTP_URL, COUNTERSIGN_SMTP_URL_FILE or smtp-url in the --config file`,
			`mail-from is missing: set ` + ways,
		}},
		{"needed and empty", given{args: []string{"--mail-from="}, need: []string{"mail-from"}}, []string{`mail-from is missing: set ` + ways}},
		{"everywhere, all at once", given{
			args: []string{"--mail-pool=0", "--listen=8080"},
			env:  []string{"COUNTERSIGN_REPLICAS=many", "COUNTERSIGN_STMP_URL=x", "OTHER=1", "PATH=/bin"},
			yaml: "public_url: x\nlog-level: loud\nmail-deadline: 30\n",
		}, []string{
			`COUNTERSIGN_STMP_URL: there is no such setting; did you mean COUNTERSIGN_SMTP_URL?`,
			`public_url in DIR/c.yaml: there is no such setting; did you mean public-url?`,
			`COUNTERSIGN_REPLICAS: must be a whole number from 1 to 5; it is "many"`,
			`--mail-pool: must be a whole number from 1 to 256; it is "0"`,
			`mail-deadline in DIR/c.yaml: must be a time such as 30s, 1m30s or 720h; it is "30"`,
			`--listen: must be host:port, such as 127.0.0.1:8080; it is "8080"`,
			`log-level in DIR/c.yaml: must be debug, info, warn or error; it is "loud"`,
		}},
		{"unlike any setting", given{env: []string{"COUNTERSIGN_SECRET_SAUCE=x"}}, []string{
			`COUNTERSIGN_SECRET_SAUCE: there is no such setting; see countersign serve --help for all settings`,
		}},
		{"no secret, so no file", given{env: []string{"COUNTERSIGN_MAIL_FROM_FILE=x"}}, []string{
			`COUNTERSIGN_MAIL_FROM_FILE: there is no such setting; see countersign serve --help for all settings`,
		}},
		{"levels in the file", given{yaml: "mail:\n  pool: 8\n"}, []string{
			`mail.pool in DIR/c.yaml: there is no such setting; did you mean mail-pool?`,
		}},
		{"a list in the file", given{yaml: "nats-url: [nats://a, nats://b]\n"}, []string{
			`nats-url in DIR/c.yaml: must be one value: write nats-url: VALUE`,
		}},
		{"nothing in the file", given{yaml: "listen:\n"}, []string{`listen in DIR/c.yaml: must be one value: write listen: VALUE`}},
		{"a file that names a file", given{yaml: "config: other.yaml\n"}, []string{
			`config in DIR/c.yaml: there is no such setting; see countersign serve --help for all settings`,
		}},
		{"the same key twice", given{yaml: "listen: a:1\nlisten: b:1\n"}, []string{
			`DIR/c.yaml cannot be read: yaml: unmarshal errors: line 2: mapping key "listen" already defined at line 1`,
		}},
		{"no such file", given{args: []string{"--config=DIR/none.yaml", "--mail-rate=fast"}}, []string{
			`DIR/none.yaml cannot be read: no such file or directory`,
			`--mail-rate: must be a number per second, 0 or more; it is "fast"`,
		}},
		{"secret twice", given{env: []string{"COUNTERSIGN_SMTP_URL=smtp://h", "COUNTERSIGN_SMTP_URL_FILE=DIR/secret"}}, []string{
			`COUNTERSIGN_SMTP_URL and COUNTERSIGN_SMTP_URL_FILE: both are set; unset one`,
		}},
		{"secret's file missing", given{env: []string{"COUNTERSIGN_SMTP_URL_FILE=DIR/none"}, need: []string{"smtp-url"}}, []string{
			`COUNTERSIGN_SMTP_URL_FILE: DIR/none cannot be read: no such file or directory`,
		}},
		{"secret's file empty", given{env: []string{"COUNTERSIGN_NATS_URL_FILE=DIR/empty"}}, []string{
			`COUNTERSIGN_NATS_URL_FILE: DIR/empty is empty`,
		}},
		{"some DKIM", given{args: []string{"--dkim-domain=example.com", "--dkim-selector=a"}}, []string{
			`dkim-domain, dkim-selector and dkim-key go together: set all three, or none`,
		}},
		{"DKIM whose key is gone is one fault", given{args: []string{"--dkim-domain=example.com", "--dkim-selector=a", "--dkim-key=DIR/none"}}, []string{
			`--dkim-key: cannot be read (no such file or directory); it is "DIR/none"`,
		}},
		{"no file, a directory", given{args: []string{"--nats-context=c", "--nats-creds=DIR/none", "--nats-ca=DIR"}}, []string{
			`--nats-creds: cannot be read (no such file or directory); it is "DIR/none"`,
			`--nats-ca: must be a file, and is a directory; it is "DIR"`,
		}},
		{"two ways to NATS", given{args: []string{"--nats-url=nats://h", "--nats-context=c"}}, []string{
			`nats-url and nats-context both name NATS servers: set only one`,
		}},
		{"credentials for nobody, a cluster of one", given{args: []string{"--nats-creds=DIR/key.pem", "--replicas=3"}}, []string{
			`nats-creds, nats-ca, nats-cert and nats-key are for external NATS servers: set nats-url or nats-context too, or unset them`,
			`replicas is 3, and the embedded server can keep only 1: set nats-url or nats-context`,
		}},
		{"a certificate without its key", given{args: []string{"--nats-url=nats://h", "--nats-cert=DIR/key.pem"}}, []string{
			`nats-cert and nats-key go together: set both, or none`,
		}},
		{"retries out of order", given{args: []string{"--mail-retry-first=5h", "--mail-give-up-after=4h30m"}}, []string{
			`mail-retry-first is 5h0m0s, longer than mail-retry-max, which is 4h0m0s: make it shorter`,
			`mail-retry-first is 5h0m0s, longer than mail-give-up-after, which is 4h30m0s: make it shorter`,
		}},
		{"a TLS certificate without its key", given{args: []string{"--tls-cert=DIR/key.pem"}}, []string{
			`tls-cert and tls-key go together: set both, or none`,
		}},
		{"certificates from two places, for no name", given{args: []string{"--tls-cert=DIR/key.pem", "--tls-key=DIR/key.pem", "--autocert=on"}}, []string{
			`autocert gets certificates and tls-cert names one: set only one`,
			`autocert is on and public-url is http://127.0.0.1:8080: set public-url to the https:// origin whose host the certificate is for`,
		}},
		{"a reminder of what has expired", given{args: []string{"--remind-after=48h", "--expire-after=24h"}}, []string{
			`remind-after is 48h0m0s, and a letter expires after 24h0m0s (expire-after): make remind-after shorter, or set it to off`,
		}},
		{"one address for two", given{args: []string{"--listen=:80", "--admin-listen=:80"}}, []string{
			`listen and admin-listen are both :80: set different addresses`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, faults := tt.given.load(t)
			if diff := cmp.Diff(tt.want, strings.Split(faults, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
