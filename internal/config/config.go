// Package config reads the settings. One table (settings.go) makes the flags, the
// names in the environment, the keys of the file and the table in
// docs/configuration.md.
//
// A flag overrides the environment, the environment overrides the file, and the file
// overrides the default. Unknown settings and bad values are refused, all at once,
// each with the name under which it was given and how to fix it.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"countersign/workflow"
)

// Config is the program's settings. Its String and its LogValue hide secrets.
type Config struct {
	File    string // the file that was read; empty for none
	DataDir string

	NATSURL       Secret        // servers, separated by commas
	NATSCreds     string        // credentials file
	NATSContext   string        // name of a context of the nats command line
	NATSCA        string        // PEM file
	NATSCert      string        // PEM file; set if and only if NATSKey is
	NATSKey       string        // PEM file
	NATSListen    string        // host:port of the embedded server; empty for nowhere
	NATSTokenFile string        // of the embedded server; empty: it wants no token
	NATSSync      time.Duration // of the embedded server; 0: every write
	Replicas      int           // of the stream

	// NATSInboxPrefix is the prefix of the subjects of answers; empty: the
	// context's, or else the program's own.
	NATSInboxPrefix string

	SMTPURL          Secret
	SMTPCA           string // PEM file; empty: the system's authorities
	SMTPTokenFile    string // at most one of the two is set
	SMTPTokenCommand Secret
	MailHELO         string // a host name or an address literal; empty: the host's own

	MailFrom        string        // "Name <address>" or an address
	MailReplyTo     string        // the same; empty: replies go to MailFrom
	MailReturnPath  string        // the same; empty: reports go to MailFrom
	MailPool        int           // connections
	MailDeadline    time.Duration // from a claim to the end of its mails
	MailRetryFirst  time.Duration // at most MailRetryMax and MailGiveUpAfter
	MailRetryMax    time.Duration
	MailGiveUpAfter time.Duration
	MailInDoubt     string  // Resend or Hold
	MailRate        float64 // mails per second; 0: no limit
	MailDomainRate  float64 // mails per second to one domain; 0: no limit
	DKIMDomain      string  // the three DKIM settings are all set or all empty
	DKIMSelector    string
	DKIMKey         string // PEM file

	SnapshotEvery  time.Duration // 0 is never
	SnapshotKeep   int
	Provider       string // name of the company that hosts the messages; empty: the name in MailFrom
	SealCert       string // PEM file; set if and only if SealKey is
	SealKey        string // PEM file
	TSAURL         string // time-stamp authority; empty for none
	LetterDelivery string // Attach, Link or Neither

	LinkLifetime   time.Duration
	ParkingLimit   time.Duration // at least a second
	RemindAfter    time.Duration // whole seconds; 0 is never
	RemindEvery    time.Duration // whole seconds; 0 is never
	RemindMost     int
	ExpireAfter    time.Duration         // whole seconds; 0 is never
	FreshFor       time.Duration         // whole seconds; 0: no limit
	NotifyCC       []workflow.Status     // of workflow.Notices, in that order
	LetterRequires []workflow.LetterPart // of workflow.LetterParts, in that order
	PublicURL      string                // an origin, without a slash at the end
	Listen         string                // host:port
	AdminListen    string                // host:port
	AdminHosts     []string              // host names, without ports
	AccountsFile   string
	KeysFile       string

	WebhookKey      string         // file; created when an account gets a token or a webhook
	WebhookNetworks []netip.Prefix // inside, and allowed
	WebhookHosts    []string       // the same, by name
	WebhookCA       string         // PEM file; empty: the system's authorities

	MailDocumentInterval time.Duration // between emails of a document to its signer; 0 for no limit
	MailDocumentDay      int           // maximum number of them in 24 hours; 0 for no limit
	MailRecipientDay     int           // maximum number of emails by which an account asks one person to sign in 24 hours; 0 for no limit

	TLSCert        string // PEM file; set if and only if TLSKey is, and never with Autocert
	TLSKey         string // PEM file
	Autocert       bool
	ACMEDirectory  string         // URL
	TrustedProxies []netip.Prefix // may be empty
	APIAccountRate float64        // requests per second of an account; 0: no limit
	APIAddressRate float64        // requests per second from an address; 0: no limit
	UnknownOrders  string         // Accept or Refuse

	LogLevel  slog.Level
	LogFormat string // LogAuto, LogJSON or LogText
}

// What to do with a document whose orders or address are not known.
const (
	Accept = "accept"
	Refuse = "refuse"
)

// What to do with an email whose outcome is not known.
const (
	Resend = "resend"
	Hold   = "hold"
)

// How the signed letter is sent to the signer and to cc.
const (
	Attach  = "attach"
	Link    = "link"
	Neither = "neither"
)

// The formats of the log. LogAuto is text on a terminal and JSON elsewhere.
const (
	LogAuto = "auto"
	LogJSON = "json"
	LogText = "text"
)

// External reports whether the log is on external NATS servers and not on the
// embedded one.
func (c Config) External() bool { return c.NATSURL != "" || c.NATSContext != "" }

// String lists the settings as name=value, without secrets.
func (c Config) String() string {
	var parts []string
	for _, s := range table(&c) {
		parts = append(parts, s.name+"="+s.get())
	}
	return strings.Join(parts, " ")
}

// LogValue implements slog.LogValuer; secrets stay hidden.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, s := range table(&c) {
		attrs = append(attrs, slog.String(s.name, s.get()))
	}
	return slog.GroupValue(attrs...)
}

// Secret is text that may hold a password: the URL of a server, or several URLs
// separated by commas. Convert it to a string to use it.
type Secret string

// String returns the schemes and hosts of the URLs, or "(hidden)".
func (s Secret) String() string {
	var shown []string
	for part := range strings.SplitSeq(string(s), ",") {
		u, err := url.Parse(part)
		switch {
		case s == "":
		case err != nil || u.Scheme == "" || u.Host == "":
			return "(hidden)"
		default:
			shown = append(shown, u.Scheme+"://"+u.Host)
		}
	}
	return strings.Join(shown, ",")
}

// GoString keeps %#v from showing the secret.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// MarshalText keeps encoding/json from showing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Load reads the settings from parsed flags that Flags has registered, from the
// environment ("NAME=value" as in os.Environ; an empty value counts as none)
// and from the file that one of these may name. It fails if a setting in need
// is empty. The error lists all faults, one on each line, and holds no secret.
func Load(fs *pflag.FlagSet, environ []string, need ...string) (Config, error) {
	var c Config
	rows := table(&c)
	src := read(rows, fs, environ)
	faults, given := src.faults, map[string]bool{}
	for _, s := range rows {
		text, origin := src.lookup(s)
		given[s.name] = text != "" || src.broken[s.name]
		switch {
		case src.broken[s.name]:
		case text != "" || s.fallback != "":
			if err := s.set(text); err != nil {
				faults = append(faults, s.fault(origin, text, err))
			}
		case slices.Contains(need, s.name):
			faults = append(faults, fmt.Errorf("%s is missing: set %s", s.name, s.ways()))
		}
	}
	if c.AccountsFile == accountsInDataDir {
		c.AccountsFile = filepath.Join(c.DataDir, "accounts")
	}
	if c.NATSTokenFile == tokenInDataDir {
		c.NATSTokenFile = filepath.Join(c.DataDir, "nats-token")
	}
	if c.KeysFile == keysInDataDir {
		c.KeysFile = filepath.Join(c.DataDir, "keys")
	}
	if c.WebhookKey == webhookKeyInDataDir {
		c.WebhookKey = filepath.Join(c.DataDir, "webhook-key")
	}
	return c, errors.Join(append(faults, c.clashes(given)...)...)
}

// Rules returns the settings that the rules decide by, in the form of the event
// on the log, without the version.
func (c Config) Rules() workflow.RulesActivated {
	b := workflow.RulesActivated{ParkingLimitSeconds: int64(c.ParkingLimit / oneSecond), NotifyCC: c.NotifyCC, LetterRequires: c.LetterRequires}
	t := workflow.Timers{
		RemindAfter: int64(c.RemindAfter / oneSecond), RemindEvery: int64(c.RemindEvery / oneSecond), RemindMost: c.RemindMost,
		ExpireAfter: int64(c.ExpireAfter / oneSecond), FreshFor: int64(c.FreshFor / oneSecond),
	}
	if t != (workflow.Timers{}) {
		b.Timers = &t
	}
	if l := (workflow.MailLimits{Interval: int64(c.MailDocumentInterval / oneSecond), PerDay: c.MailDocumentDay}); l != (workflow.MailLimits{}) {
		b.MailLimits = &l
	}
	return b
}

// clashes lists settings that are valid alone and not together. A setting that
// could not be read is zero, and counts as given.
func (c *Config) clashes(given map[string]bool) []error {
	var faults []error
	clash := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	some := func(names ...string) (n int) {
		for _, name := range names {
			if given[name] {
				n++
			}
		}
		return n
	}
	clash(some("nats-url", "nats-context") == 2, "nats-url and nats-context both name NATS servers: set only one")
	if some("nats-url", "nats-context") == 0 {
		clash(some("nats-creds", "nats-ca", "nats-cert", "nats-key") > 0,
			"nats-creds, nats-ca, nats-cert and nats-key are for external NATS servers: set nats-url or nats-context too, or unset them")
		clash(c.Replicas > 1, "replicas is %d, and the embedded server can keep only 1: set nats-url or nats-context", c.Replicas)
	}
	clash(some("smtp-oauth-token-file", "smtp-oauth-token-command") == 2,
		"smtp-oauth-token-file and smtp-oauth-token-command both give tokens: set only one")
	clash(some("nats-cert", "nats-key") == 1, "nats-cert and nats-key go together: set both, or none")
	clash(c.MailRetryMax != 0 && c.MailRetryFirst > c.MailRetryMax,
		"mail-retry-first is %s, longer than mail-retry-max, which is %s: make it shorter", c.MailRetryFirst, c.MailRetryMax)
	clash(c.MailGiveUpAfter != 0 && c.MailRetryFirst > c.MailGiveUpAfter,
		"mail-retry-first is %s, longer than mail-give-up-after, which is %s: make it shorter", c.MailRetryFirst, c.MailGiveUpAfter)
	clash(c.ExpireAfter != 0 && c.RemindMost > 0 && c.RemindAfter >= c.ExpireAfter,
		"remind-after is %s, and a letter expires after %s (expire-after): make remind-after shorter, or set it to off", c.RemindAfter, c.ExpireAfter)
	dkim := some("dkim-domain", "dkim-selector", "dkim-key")
	clash(dkim == 1 || dkim == 2, "dkim-domain, dkim-selector and dkim-key go together: set all three, or none")
	clash(some("tls-cert", "tls-key") == 1, "tls-cert and tls-key go together: set both, or none")
	clash(some("seal-cert", "seal-key") == 1, "seal-cert and seal-key go together: set both, or none")
	clash(c.Autocert && given["tls-cert"], "autocert gets certificates and tls-cert names one: set only one")
	clash(c.Autocert && !strings.HasPrefix(c.PublicURL, "https://"), "autocert is on and public-url is %s: set public-url to the https:// origin whose host the certificate is for", c.PublicURL)
	clash(c.Listen != "" && c.Listen == c.AdminListen && !strings.HasSuffix(c.Listen, ":0"),
		"listen and admin-listen are both %s: set different addresses", c.Listen)
	return faults
}
