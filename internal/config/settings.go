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
	fallback string // the default; empty if there is none
	usage    string
	value
}

// Defaults that depend on another setting.
const (
	keysInDataDir     = "<data-dir>/keys"
	tokenInDataDir    = "<data-dir>/nats-token"
	accountsInDataDir = "<data-dir>/accounts"

	webhookKeyInDataDir = "<data-dir>/webhook-key"
)

// PublicURL is the default origin of links.
const PublicURL = "http://127.0.0.1:8080"

// configFile is the only setting that the file cannot have.
const configFile = "config"

// table lists every setting, in the order of docs/configuration.md.
func table(c *Config) []setting {
	return slices.Concat(
		generalSettings(c), natsSettings(c), mailSettings(c), snapshotSettings(c),
		letterSettings(c), ruleSettings(c), serverSettings(c), webhookSettings(c), loggingSettings(c),
	)
}

// generalSettings say where the settings and the data are.
func generalSettings(c *Config) []setting {
	return []setting{
		{configFile, "", "YAML file of settings; its keys are the names of the flags", path(&c.File)},
		{"data-dir", "./data", "directory of countersign.db and of the embedded server's store", path(&c.DataDir)},
	}
}

// natsSettings say where the log is.
func natsSettings(c *Config) []setting {
	return []setting{
		{"nats-url", "", "external NATS servers, separated by commas; if neither nats-url nor nats-context is set, a server is embedded", natsURLs(&c.NATSURL)},
		{"nats-creds", "", "credentials file for the external servers", secretFile(&c.NATSCreds)},
		{"nats-context", "", "context of the nats command line, instead of nats-url", word(&c.NATSContext)},
		{"nats-ca", "", "certificates (PEM) of the authorities to trust for the external servers, instead of the system's", readable(&c.NATSCA)},
		{"nats-cert", "", "client certificate (PEM) for the external servers", readable(&c.NATSCert)},
		{"nats-inbox-prefix", "", "prefix of the subjects on which NATS answers this program; default: the inbox_prefix of nats-context, or _INBOX_countersign", inboxPrefix(&c.NATSInboxPrefix)},
		{"nats-key", "", "key (PEM) of nats-cert", secretFile(&c.NATSKey)},
		{"nats-listen", "127.0.0.1:4222", "address on which the embedded server accepts upstream services; off: none", orOff(address, &c.NATSListen)},
		{"nats-token-file", tokenInDataDir, "file with the token that clients of the embedded server must give; created if missing; commands with the same data-dir read it themselves; off: no token, every user of this machine may publish and read the log", orOff(path, &c.NATSTokenFile)},
		{"nats-sync", "always", "fsync policy of the embedded server: always, or an interval such as 2m; with an interval, a power cut loses events acknowledged since the last sync", durationOr("always", &c.NATSSync)},
		{"replicas", "1", "copies of the stream in the cluster, set when the stream is created; 1 to 5", count(&c.Replicas, 1, 5)},
	}
}

// mailSettings say how emails are sent.
func mailSettings(c *Config) []setting {
	return []setting{
		{"smtp-url", "", "mail server: smtp://user:password@host:587?tls=mandatory (or opportunistic, none), or smtps://; leave the password out if smtp-oauth-token-file or smtp-oauth-token-command is set; required by serve", smtpURL(&c.SMTPURL)},
		{"smtp-ca", "", "certificates (PEM) of the authorities to trust for the mail server, instead of the system's", readable(&c.SMTPCA)},
		{"smtp-oauth-token-file", "", "file with an OAuth 2.0 access token that logs in the user of smtp-url by XOAUTH2, instead of a password; read for each connection", secretFile(&c.SMTPTokenFile)},
		{"smtp-oauth-token-command", "", "command that prints such a token; run by sh; each token is used for one minute", hidden(&c.SMTPTokenCommand, "command", nonempty)},
		{"mail-helo", "", "name in EHLO: a host name or an address literal such as [192.0.2.1]; default: the full host name of this machine, or the address of the connection if that name has no dot", helo(&c.MailHELO)},
		{"mail-from", "", "sender of the emails, such as Hosting Team <loa@example.com>; required by serve", mailbox(&c.MailFrom)},
		{"mail-reply-to", "", "address for replies, if not the sender", mailbox(&c.MailReplyTo)},
		{"mail-return-path", "", "address to which mail servers report, if not the sender; with {mail} in it, such as bounces+{mail}@example.com, the address of a report names the email (VERP); countersign bounce reads the reports", returnPath(&c.MailReturnPath)},
		{"mail-pool", "8", "maximum number of connections to the mail server, 1 to 256", count(&c.MailPool, 1, 256)},
		{"mail-deadline", "30s", "time limit for an email from its claim to its outcome, at least 1s", duration(&c.MailDeadline, oneSecond)},
		{"mail-retry-first", "1m", "wait after the first deferral of an email; it doubles with each retry", duration(&c.MailRetryFirst, anyTime)},
		{"mail-retry-max", "4h", "longest wait between two tries of an email", duration(&c.MailRetryMax, anyTime)},
		{"mail-give-up-after", "48h", "an email that has been deferred for this long is rejected, and one in doubt for this long is held; the time in which the mail server is away or refuses us does not count", duration(&c.MailGiveUpAfter, anyTime)},
		{"mail-in-doubt", Resend, "what to do with an email whose outcome is not known: resend it, or hold it for an operator", oneOf(&c.MailInDoubt, Resend, Hold)},
		{"mail-rate", "0", "maximum number of emails per second; 0: no limit", rate(&c.MailRate)},
		{"mail-domain-rate", "0", "maximum number of emails per second to one domain; 0: no limit", rate(&c.MailDomainRate)},
		{"mail-recipient-day", "100", "maximum number of emails in 24 hours by which an account asks one person to sign: the REST API refuses more, and those of upstream services wait; 0: no limit", count(&c.MailRecipientDay, 0, 1_000_000)},
		{"dkim-domain", "", "domain that signs emails (DKIM)", word(&c.DKIMDomain)},
		{"dkim-selector", "", "selector of the DKIM key under that domain", word(&c.DKIMSelector)},
		{"dkim-key", "", "private key (PEM, RSA or Ed25519) for DKIM", secretFile(&c.DKIMKey)},
	}
}

// snapshotSettings say how often the database is copied.
func snapshotSettings(c *Config) []setting {
	return []setting{
		{"snapshot-every", "24h", "how often the active worker stores a snapshot of its database; off: never", durationOr("off", &c.SnapshotEvery)},
		{"snapshot-keep", "3", "number of snapshots to keep, 1 to 100", count(&c.SnapshotKeep, 1, 100)},
	}
}

// letterSettings say what a letter looks like, and how people get it.
func letterSettings(c *Config) []setting {
	return []setting{
		{"provider", "", "messaging provider, as the letter and the signing page name it; default: the name in mail-from", name(&c.Provider)},
		{"seal-cert", "", "certificate (PEM, with its chain) of the seal on signed letters; default: a seal is made and kept in keys-file", readable(&c.SealCert)},
		{"seal-key", "", "key (PEM, RSA or ECDSA) of seal-cert", secretFile(&c.SealKey)},
		{"tsa-url", "", "time-stamp authority (RFC 3161) that confirms the time of each seal, such as http://tsa.example.com/tsr; default: none, the time is this machine's word alone", tsaURL(&c.TSAURL)},
		{"letter-delivery", Attach, "how the 'signed' emails carry the letter: attach the PDF, link to a download (valid for link-lifetime), or neither (digest only)", oneOf(&c.LetterDelivery, Attach, Link, Neither)},
		{"link-lifetime", "720h", "how long a signing link is valid, at most ten years", upTo(tenYears, &c.LinkLifetime, oneSecond)},
	}
}

// ruleSettings are the settings that the rules decide by; see Config.Rules.
func ruleSettings(c *Config) []setting {
	return []setting{
		{"parking-limit", "24h", "how long an event may wait for the event that it depends on", duration(&c.ParkingLimit, oneSecond)},
		{"letter-requires", "number", "what a letter must name before it is sent: number, subscriber, address, title, phone, or several, separated by a comma; none: nothing. A document that lacks something stays opened until it is known", parts(&c.LetterRequires)},
		{"remind-after", "72h", "time from sending a letter to the first reminder; off: no reminders", secondsOr("off", &c.RemindAfter)},
		{"remind-every", "72h", "time from one reminder to the next; off: only one reminder", secondsOr("off", &c.RemindEvery)},
		{"remind-most", "4", "maximum number of reminders each time a letter is sent, 0 to 100", count(&c.RemindMost, 0, 100)},
		{"expire-after", "720h", "time from sending a letter to its expiry, which ends it unsigned; off: never", secondsOr("off", &c.ExpireAfter)},
		{"fresh-for", "720h", "how long a signed letter is fresh enough for orders that are not completed; off: without a limit", secondsOr("off", &c.FreshFor)},
		{"mail-document-interval", "10s", "average time between two emails of a document to its signer: five may be sent within five times as long, and events that ask for more are refused; off: no limit", secondsOr("off", &c.MailDocumentInterval)},
		{"mail-document-day", "30", "maximum number of emails of a document to its signer in 24 hours; events that ask for more are refused; 0: no limit", count(&c.MailDocumentDay, 0, 1000)},
		{"notify-cc", "", "endings that cc recipients are told as well: canceled, failed, or both, separated by a comma", words(&c.NotifyCC, workflow.Notices)},
	}
}

// serverSettings say what is served, where and to whom.
func serverSettings(c *Config) []setting {
	return []setting{
		{"public-url", PublicURL, "origin of the links in emails and of URLs in the API", origin(&c.PublicURL)},
		{"listen", "127.0.0.1:8080", "address of the REST API and the signing page", address(&c.Listen)},
		{"tls-cert", "", "certificate (PEM) for listen, read again when it changes; default: none, served without TLS", readable(&c.TLSCert)},
		{"tls-key", "", "key (PEM) of tls-cert", secretFile(&c.TLSKey)},
		{"autocert", "off", "on: get certificates for public-url's host by ACME, which accepts the authority's terms; port 443 of that host must lead to listen", onOff(&c.Autocert)},
		{"acme-directory", autocert.DefaultACMEDirectory, "ACME directory of the certificate authority for autocert", webURL(&c.ACMEDirectory)},
		{"trusted-proxies", "", "addresses or networks of proxies whose X-Forwarded-For is believed, such as 127.0.0.1,10.1.0.0/16", prefixes(&c.TrustedProxies)},
		{"api-account-rate", "100", "REST API rate limit per account and worker, in requests/s; burst is twice that; 0: no limit", rate(&c.APIAccountRate)},
		{"api-address-rate", "200", "REST API rate limit per client address (IPv6: per /64) and worker, in requests/s; burst is twice that; 0: no limit", rate(&c.APIAddressRate)},
		{"unknown-orders", Accept, "what the REST API does with a document whose orders or address its account has not created: accept it, because events may announce them later, or refuse it as Twilio does", oneOf(&c.UnknownOrders, Accept, Refuse)},
		{"admin-listen", "127.0.0.1:8081", "address of /metrics, /healthz and /readyz", address(&c.AdminListen)},
		{"admin-hosts", "", "additional host names under which admin-listen answers, such as countersign.monitoring.svc; it always answers to localhost, IP addresses and its own host", hostNames(&c.AdminHosts)},
		{"accounts-file", accountsInDataDir, "accounts and API keys of the REST API, hashed, and tokens sealed by webhook-key; read again when it changes", path(&c.AccountsFile)},
		{"keys-file", keysInDataDir, "keys of the signing links and of the seal on letters; created if missing, read again when it changes", path(&c.KeysFile)},
	}
}

// webhookSettings say how webhooks and callbacks are reached and signed.
func webhookSettings(c *Config) []setting {
	return []setting{
		{"webhook-key", webhookKeyInDataDir, "key from which the secrets of webhooks follow and which seals account tokens for callbacks; created by webhooks add and accounts add; workers on one log need the same", path(&c.WebhookKey)},
		{"webhook-allow", "", "networks, addresses or host names inside that webhooks and callbacks may reach, also by http, such as 10.1.0.0/16,hooks.internal; default: only public addresses, by https", receivers(&c.WebhookNetworks, &c.WebhookHosts)},
		{"webhook-ca", "", "certificates (PEM) of the authorities to trust for webhooks and callbacks, instead of the system's", readable(&c.WebhookCA)},
	}
}

// loggingSettings say what the program logs.
func loggingSettings(c *Config) []setting {
	return []setting{
		{"log-level", "info", "debug, info, warn or error", level(&c.LogLevel)},
		{"log-format", LogAuto, "auto (text on a terminal, JSON elsewhere), json or text", oneOf(&c.LogFormat, LogAuto, LogJSON, LogText)},
	}
}

// envPrefix is the prefix of the names of our environment variables.
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
	return fmt.Errorf("%s: %w; it is %q", origin, err, text)
}

// Flags registers flags for the settings that are named, or for every setting
// if none is. The flags only store their values; Load checks them, together
// with the environment and the file, which may have every setting. Flags panics
// if no setting has one of the names.
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

// IsSetting reports whether there is a setting with this name.
func IsSetting(name string) bool { return slices.Contains(names(table(new(Config))), name) }

// flagValue implements pflag.Value.
type flagValue struct{ text, kind string }

func (v *flagValue) String() string     { return v.text }
func (v *flagValue) Set(s string) error { v.text = s; return nil }
func (v *flagValue) Type() string       { return v.kind }

// Markdown returns the table for docs/configuration.md.
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
