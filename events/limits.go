package events

import "countersign/events/emailaddr"

// The limits of events of upstream services. The JSON Schemas state the same
// limits.
const (
	MaxPayload  = 256 << 10     // bytes of a message; Countersign's own events may be larger
	MaxIdentity = 256           // bytes of the attributes id and source, each
	MaxAddress  = emailaddr.Max // bytes of an e-mail address, by RFC 5321, section 4.5.3.1.3
	MaxCC       = 50            // addresses in cc_emails
	MaxOrders   = 1000          // orders of a document, over both lists
	MaxTitle    = 256           // characters of contact_title
	MaxLocale   = 35            // characters of locale, by RFC 5646, section 4.4.1
	MaxName     = 256           // characters of subscriber, customer_name and current_carrier
	MaxLabel    = 128           // characters of friendly_name and unique_name
	MaxStreet   = 256           // characters of the street of a service address
	MaxPlace    = 128           // characters of its city and region, each
	MaxPostal   = 32            // characters of its postal code
	MaxReason   = 1000          // characters of reason and failure_reason
	MaxDepth    = 32            // levels of nesting within evidence
	MaxSeconds  = 315360000     // seconds of a timer: ten years of 365 days
	MaxReminds  = 100           // reminders of a round
	MaxPerDay   = 1000          // emails of a document to its signer

	MaxURL     = 2048 // characters of a URL
	MaxDialled = 64   // characters of the extension of a number
	MaxDelay   = 60   // seconds before a verification call

	MaxCandidates = 8 // other emails that a report may be about
)

// SchemaVersion is the version of the contract, and the only value that the
// extension attribute schemaversion may have. If it is absent, this version is assumed.
const SchemaVersion = "1"

// Source is the CloudEvents source of Countersign's own events. No upstream
// service may use it.
const Source = "countersign"

// The forms of values, as regular expressions that are valid in both ECMA-262
// and RE2.
const (
	// SIDPattern is a sid without its first two letters, which say what it
	// names.
	SIDPattern = "[0-9a-fA-F]{32}"
	// PhonePattern is the international notation of ITU-T E.123: a plus and the
	// digits of E.164, optionally grouped by single spaces, hyphens or dots.
	PhonePattern = `^\+[1-9](?:[ .-]?[0-9]){6,14}$`
	// LocalePattern is the form of a language tag of BCP 47 (RFC 5646): a
	// language and its subtags. It does not check whether the subtags are
	// registered, because the registry changes.
	LocalePattern = `^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`
	// CountryPattern is a code of ISO 3166-1 alpha-2.
	CountryPattern = "^[A-Z]{2}$"
	// DigestPattern is the digest of a letter.
	DigestPattern = "^sha256:[0-9a-f]{64}$"
	// DialledPattern is what may be dialled after a number: digits, #, * and w,
	// which waits half a second.
	DialledPattern = "^[0-9#*w]*$"
	// CodePattern is a code of verification.
	CodePattern = "^[0-9]{4,10}$"
	// CallPattern is the sid of a call.
	CallPattern = "^CA[0-9a-fA-F]{32}$"
	// URLPattern is the form of a URL that Countersign can call.
	URLPattern = `^https?://[^\s/?#]+\S*$`
	// StatusPattern is a status code of RFC 3463.
	StatusPattern = `^[245]\.[0-9]{1,3}\.[0-9]{1,3}$`
)
