package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/crypto/acme/autocert"

	"countersign/workflow"
)

// A setting is one row of the table, bound to its field of a Config.
type setting struct {
	name     string // of the flag, and the key in the file
	fallback string // the default; empty where there is none
	usage    string
	value
}

// Defaults that follow another setting.
const (
	keysInDataDir     = "<data-dir>/keys"
	tokenInDataDir    = "<data-dir>/nats-token"
	accountsInDataDir = "<data-dir>/accounts"
)

// PublicURL is the origin of links where nobody says another.
const PublicURL = "http://127.0.0.1:8080"

// configFile is the one setting that the file cannot have.
const configFile = "config"

// table is everything that can be set, in the order of the table in docs/configuration.md.
func table(c *Config) []setting {
	return slices.Concat(
		generalSettings(c), natsSettings(c), mailSettings(c), snapshotSettings(c),
		letterSettings(c), ruleSettings(c), serverSettings(c), loggingSettings(c),
	)
}

// generalSettings say where the program finds its settings and keeps what it has.
func generalSettings(c *Config) []setting {
	return []setting{
		{configFile, "", "YAML file of settings; its keys are the names of the flags", path(&c.File)},
		{"data-dir", "./data", "where countersign.db and the embedded server's store are kept", path(&c.DataDir)},
	}
}

// natsSettings say where the log is.
func natsSettings(c *Config) []setting {
	return []setting{
		{"nats-url", "", "external NATS servers, with commas between; without these and without nats-context a server is embedded", natsURLs(&c.NATSURL)},
		{"nats-creds", "", "credentials for these servers", secretFile(&c.NATSCreds)},
		{"nats-context", "", "context of the nats command line, in place of nats-url", word(&c.NATSContext)},
		{"nats-ca", "", "certificates (PEM) by which these servers are trusted, in place of the system's", readable(&c.NATSCA)},
		{"nats-cert", "", "certificate (PEM) to show to these servers", readable(&c.NATSCert)},
		{"nats-inbox-prefix", "", "start of the subjects on which NATS answers this program; without it the inbox_prefix of nats-context, or else _INBOX_countersign", inboxPrefix(&c.NATSInboxPrefix)},
		{"nats-key", "", "key (PEM) of that certificate", secretFile(&c.NATSKey)},
		{"nats-listen", "127.0.0.1:4222", "where the embedded server listens for upstream services; off for nowhere", orOff(address, &c.NATSListen)},
		{"nats-token-file", tokenInDataDir, "token that clients of the embedded server must give; the file is made if missing, and commands with the same data-dir read it by themselves; off: every user of this machine may publish and read the log", orOff(path, &c.NATSTokenFile)},
		{"nats-sync", "always", "how often the embedded server syncs to disk: always, or a time such as 2m, in which a power cut takes acknowledged events with it", durationOr("always", &c.NATSSync)},
		{"replicas", "1", "copies of the stream in the cluster, when it is made; 1 to 5", count(&c.Replicas, 1, 5)},
	}
}

// mailSettings say how mails leave.
func mailSettings(c *Config) []setting {
	return []setting{
		{"smtp-url", "", "mail server: smtp://user:password@host:587?tls=mandatory (or opportunistic, none), or smtps://; without a password with smtp-oauth-token-file or -command; required by serve", smtpURL(&c.SMTPURL)},
		{"smtp-ca", "", "certificates (PEM) of the authorities that the mail server is trusted by, in place of the system's", readable(&c.SMTPCA)},
		{"smtp-oauth-token-file", "", "file with an OAuth 2.0 access token that logs in the user of smtp-url by XOAUTH2, in place of a password; read for each connection", secretFile(&c.SMTPTokenFile)},
		{"smtp-oauth-token-command", "", "command that prints such a token, run by sh; a token is used for a minute", hidden(&c.SMTPTokenCommand, "command", nonempty)},
		{"mail-helo", "", "name in EHLO: a host name or an address literal; without one the full host name, or the address of the connection such as [192.0.2.1] if it has no dot", helo(&c.MailHELO)},
		{"mail-from", "", "sender, such as Hosting Team <loa@example.com>; required by serve", mailbox(&c.MailFrom)},
		{"mail-reply-to", "", "where replies go, if not to the sender", mailbox(&c.MailReplyTo)},
		{"mail-return-path", "", "where mail servers report on emails, if not to the sender; with {mail} in it, such as bounces+{mail}@example.com, the address of a report names the email (VERP); countersign bounce reads the reports", returnPath(&c.MailReturnPath)},
		{"mail-pool", "8", "connections to the mail server, 1 to 256", count(&c.MailPool, 1, 256)},
		{"mail-deadline", "30s", "time for a mail from its claim to its outcome, at least 1s", duration(&c.MailDeadline, oneSecond)},
		{"mail-retry-first", "1m", "wait after a mail's first deferral; it grows from there", duration(&c.MailRetryFirst, anyTime)},
		{"mail-retry-max", "4h", "longest wait between two tries", duration(&c.MailRetryMax, anyTime)},
		{"mail-give-up-after", "48h", "a mail deferred for so long counts as rejected, one in doubt for so long as held; the time that mails wait for a mail server that is away or refuses us does not count", duration(&c.MailGiveUpAfter, anyTime)},
		{"mail-in-doubt", Resend, "what becomes of a mail whose outcome is lost: resend or hold", oneOf(&c.MailInDoubt, Resend, Hold)},
		{"mail-rate", "0", "most mails per second; 0 for no limit", rate(&c.MailRate)},
		{"mail-domain-rate", "0", "most mails per second to one domain; 0 for no limit", rate(&c.MailDomainRate)},
		{"mail-recipient-day", "100", "most emails in 24 hours by which an account asks one person to sign: the REST API refuses more, and those of upstream services wait; 0 for no limit", count(&c.MailRecipientDay, 0, 1_000_000)},
		{"dkim-domain", "", "domain that signs mails (DKIM)", word(&c.DKIMDomain)},
		{"dkim-selector", "", "selector under that domain", word(&c.DKIMSelector)},
		{"dkim-key", "", "private key (PEM, RSA or Ed25519) for it", secretFile(&c.DKIMKey)},
	}
}

// snapshotSettings say how often the database is copied.
func snapshotSettings(c *Config) []setting {
	return []setting{
		{"snapshot-every", "24h", "how often the worker at work puts a snapshot of its database into the object store; off for never", durationOr("off", &c.SnapshotEvery)},
		{"snapshot-keep", "3", "how many snapshots are kept, 1 to 100", count(&c.SnapshotKeep, 1, 100)},
	}
}

// letterSettings say what a letter looks like, and how people get at it.
func letterSettings(c *Config) []setting {
	return []setting{
		{"provider", "", "messaging provider, as the letter and the signing page name it; without it the name in mail-from", name(&c.Provider)},
		{"seal-cert", "", "certificate (PEM, with its chain) of the seal on signed letters; without one a seal is made and kept in keys-file", readable(&c.SealCert)},
		{"seal-key", "", "key (PEM, RSA or ECDSA) of that certificate", secretFile(&c.SealKey)},
		{"tsa-url", "", "time-stamp authority (RFC 3161), such as http://tsa.example.com/tsr, that the seal's time is asked of; without one the letter has this machine's word alone", tsaURL(&c.TSAURL)},
		{"letter-delivery", Attach, "the signed letter in mails that say so: attach, link to download it (good for link-lifetime), or neither for a digest alone", oneOf(&c.LetterDelivery, Attach, Link, Neither)},
		{"link-lifetime", "720h", "how long a signing link is good for, ten years at the most", upTo(tenYears, &c.LinkLifetime, oneSecond)},
	}
}

// ruleSettings are those that documents are decided by; see Config.Rules.
func ruleSettings(c *Config) []setting {
	return []setting{
		{"parking-limit", "24h", "how long an event may wait for the one it builds on", duration(&c.ParkingLimit, oneSecond)},
		{"remind-after", "72h", "time from the moment a letter is sent to the first reminder; off for none", secondsOr("off", &c.RemindAfter)},
		{"remind-every", "72h", "time from each reminder to the next; off for no second one", secondsOr("off", &c.RemindEvery)},
		{"remind-most", "4", "most reminders of a letter each time it is sent, 0 to 100", count(&c.RemindMost, 0, 100)},
		{"expire-after", "720h", "time from the moment a letter is sent to its expiry, which ends it unsigned; off for never", secondsOr("off", &c.ExpireAfter)},
		{"fresh-for", "720h", "how long a signed letter is fresh enough for orders that are not completed; off: always", secondsOr("off", &c.FreshFor)},
		{"mail-document-interval", "10s", "time between two emails of a document to its signer, on average: five may go within five times as long, and what asks for more is refused; off for no limit", secondsOr("off", &c.MailDocumentInterval)},
		{"mail-document-day", "30", "most emails of a document to its signer in 24 hours; what asks for more is refused; 0 for no limit", count(&c.MailDocumentDay, 0, 1000)},
		{"notify-cc", "", "endings of which cc is told too: canceled, failed, or both with a comma between", statuses(&c.NotifyCC, workflow.Notices)},
	}
}

// serverSettings say what is served, where and to whom.
func serverSettings(c *Config) []setting {
	return []setting{
		{"public-url", PublicURL, "origin of the links in mails and of URLs in the API", origin(&c.PublicURL)},
		{"listen", "127.0.0.1:8080", "where the REST API and the signing page are served", address(&c.Listen)},
		{"tls-cert", "", "certificate (PEM) to serve --listen with, read again when it changes; without one it is served in clear", readable(&c.TLSCert)},
		{"tls-key", "", "key (PEM) of that certificate", secretFile(&c.TLSKey)},
		{"autocert", "off", "on: certificates for public-url's host are fetched by ACME, and whoever says so agrees to the authority's terms; its port 443 has to lead to listen", onOff(&c.Autocert)},
		{"acme-directory", autocert.DefaultACMEDirectory, "the certificate authority, for autocert", webURL(&c.ACMEDirectory)},
		{"trusted-proxies", "", "proxies whose X-Forwarded-For says where a request comes from, such as 127.0.0.1,10.1.0.0/16", prefixes(&c.TrustedProxies)},
		{"api-account-rate", "100", "most requests per second of one account to the REST API, of one worker, twice as many at once; 0 for no limit", rate(&c.APIAccountRate)},
		{"api-address-rate", "200", "the same for one address, which is a /64 with IPv6", rate(&c.APIAddressRate)},
		{"admin-listen", "127.0.0.1:8081", "where /metrics, /healthz and /readyz are served", address(&c.AdminListen)},
		{"admin-hosts", "", "host names by which admin-listen may be asked for, such as countersign.monitoring.svc, besides localhost, IP addresses and its own host", hostNames(&c.AdminHosts)},
		{"accounts-file", accountsInDataDir, "accounts and API keys of the REST API, hashed; read again when it changes", path(&c.AccountsFile)},
		{"keys-file", keysInDataDir, "keys of the signing links, and of the seal on letters; made if missing, read again when it changes", path(&c.KeysFile)},
	}
}

// loggingSettings say what the program tells of itself.
func loggingSettings(c *Config) []setting {
	return []setting{
		{"log-level", "info", "debug, info, warn or error", level(&c.LogLevel)},
		{"log-format", LogAuto, "auto (text on a terminal, JSON elsewhere), json or text", oneOf(&c.LogFormat, LogAuto, LogJSON, LogText)},
	}
}

// envPrefix begins the name of every environment variable of ours.
const envPrefix = "COUNTERSIGN_"

// env is the setting's environment variable.
func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// envFile is the environment variable that names a file with the secret.
func (s setting) envFile() string { return s.env() + "_FILE" }

// ways lists how the setting can be given.
func (s setting) ways() string {
	ways := "--" + s.name + ", " + s.env()
	if s.secret {
		ways += ", " + s.envFile()
	}
	return ways + " or " + s.name + " in the --config file"
}

// fault says what is wrong with a text that was given by origin.
func (s setting) fault(origin, text string, err error) error {
	if s.secret {
		return fmt.Errorf("%s: %w", origin, err)
	}
	return fmt.Errorf("%s: %w: %q", origin, err, text)
}

// Flags registers flags for the settings that are named, or for every setting
// if none is. The flags only keep their values; Load checks them, together with
// the environment and the file, which may have every setting. Flags panics if
// there is no setting of a name.
func Flags(fs *pflag.FlagSet, only ...string) {
	rows := table(new(Config))
	for _, name := range only {
		if !slices.Contains(names(rows), name) {
			panic("config: no setting is named " + name)
		}
	}
	for _, s := range rows {
		if len(only) == 0 || slices.Contains(only, s.name) {
			fs.Var(&flagValue{text: s.fallback, kind: s.kind}, s.name, s.usage)
		}
	}
}

// IsSetting reports whether there is a setting of a name.
func IsSetting(name string) bool { return slices.Contains(names(table(new(Config))), name) }

// flagValue implements pflag.Value.
type flagValue struct{ text, kind string }

func (v *flagValue) String() string     { return v.text }
func (v *flagValue) Set(s string) error { v.text = s; return nil }
func (v *flagValue) Type() string       { return v.kind }

// Markdown is the table for docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| flag, and key in the file | environment | default | what |\n| --- | --- | --- | --- |\n")
	for _, s := range table(new(Config)) {
		fallback, env := "", "`"+s.env()+"`"
		if s.fallback != "" {
			fallback = "`" + s.fallback + "`"
		}
		if s.secret {
			env += " or `" + s.envFile() + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.name, env, fallback, strings.ReplaceAll(s.usage, "<", `\<`))
	}
	return b.String()
}
