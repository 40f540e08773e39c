package workflow

import (
	"encoding/json"
	"time"
)

// Entry is one message on the log as the rules see it.
type Entry struct {
	Sequence uint64    // its place on the log
	Time     time.Time // the log's own time, the only one that decides anything
	Subject  string
	Account  SID    // from the subject; empty if it names none
	Document SID    // from the subject; empty if it names none
	Order    SID    // from the subject; empty if it names none
	Address  SID    // from the subject; empty if it names none
	ID       string // together with Source and Account the event's identity
	Source   string
	Actor    string // sid of the account or API key that the REST API was called with; empty for other writers
	Redrives uint64 // sequence of the refused event or dead letter that this one is sent in place of; 0 for none
	Body     Body
}

// Identity identifies an event: a second event with the same identity changes
// nothing, however late it comes. The account is part of it, so that accounts
// cannot affect each other.
type Identity struct {
	Account    SID // from the subject; empty if it names none
	Source, ID string
}

// Identity returns the identity of the entry's event.
func (e Entry) Identity() Identity { return Identity{e.Account, e.Source, e.ID} }

// SubjectPrefix begins every subject on the log, with the contract's version.
const SubjectPrefix = "authdocs.v1."

// ClaimsSubject is the subject of claimed events, which are appended by
// compare-and-set.
const ClaimsSubject = SubjectPrefix + "_.mail.claimed"

// Body is what an event says. Its Type is the CloudEvents type.
type Body interface{ Type() string }

// The CloudEvents types, one for each Body.
const (
	TypeCreated            = "authorization_document.created"
	TypeUpdated            = "authorization_document.updated"
	TypeStatusChanged      = "authorization_document.status_changed"
	TypeBecame             = "authorization_document.became"
	TypeRefused            = "authorization_document.refused"
	TypeTimerDue           = "authorization_document.timer_due"
	TypeRegister           = "hosted_number_order.register"
	TypeOrderStatusChanged = "hosted_number_order.status_changed"
	TypeMailClaimed        = "mail.claimed"
	TypeMailSettled        = "mail.settled"
	TypeRulesActivated     = "rules.activated"
	TypeErased             = "authorization_document.erased"
	TypeLetterStale        = "authorization_document.letter_stale"
)

// OrderRef names an order that a document authorizes, with its number and the
// number's carrier if the publisher knows them.
type OrderRef struct {
	SID            SID    `json:"sid"`                       // the Hosted Number Order
	PhoneNumber    string `json:"phone_number,omitempty"`    // E.164; left out if the publisher does not know it
	CurrentCarrier string `json:"current_carrier,omitempty"` // name of the carrier that carries the number's voice calls, now and later
}

// Created is a new document with its content. Its orders may be given as sids,
// as references with numbers, or as both; the union counts, sids first.
type Created struct {
	AddressSID            SID            `json:"address_sid"`                        // where the numbers are used
	Email                 string         `json:"email"`                              // the signer
	CCEmails              []string       `json:"cc_emails,omitempty"`                // who is told when it is sent and signed; at most 50
	ContactTitle          string         `json:"contact_title,omitempty"`            // of the contact at the signer, "Owner"
	ContactPhoneNumber    string         `json:"contact_phone_number,omitempty"`     // of the contact at the signer, E.164
	Locale                string         `json:"locale,omitempty"`                   // language of page, letter and mails, a BCP 47 tag such as "es" or "es-MX"; English if there is no translation
	Subscriber            string         `json:"subscriber,omitempty"`               // name of the customer of the carrier, whose numbers they are; the letter names it
	ServiceAddress        ServiceAddress `json:"service_address,omitzero"`           // the subscriber's, where the numbers' service is; the letter names it
	HostedNumberOrderSIDs []SID          `json:"hosted_number_order_sids,omitempty"` // the orders that the document authorizes; at most 1,000 in both lists
	HostedNumberOrders    []OrderRef     `json:"hosted_number_orders,omitempty"`     // the same, with the numbers that mails and the letter name
	Hold                  bool           `json:"hold,omitempty"`                     // keep it opened and unsent until a status event asks for signing
	Timers                *OwnTimers     `json:"timers,omitempty"`                   // its own timers, which replace the settings in force
}

// Updated carries new values for the fields that are present. A list replaces
// the old list.
type Updated struct {
	AddressSID            *SID            `json:"address_sid,omitempty"`              // where the numbers are used
	Email                 *string         `json:"email,omitempty"`                    // the signer
	CCEmails              *[]string       `json:"cc_emails,omitempty"`                // who is told when it is sent and signed; an empty list tells nobody
	ContactTitle          *string         `json:"contact_title,omitempty"`            // of the contact at the signer; "" clears it
	ContactPhoneNumber    *string         `json:"contact_phone_number,omitempty"`     // of the contact at the signer, E.164; "" clears it
	Locale                *string         `json:"locale,omitempty"`                   // language of page, letter and mails, a BCP 47 tag; "" clears it
	Subscriber            *string         `json:"subscriber,omitempty"`               // name of the customer of the carrier, whose numbers they are; "" clears it
	ServiceAddress        *ServiceAddress `json:"service_address,omitempty"`          // the subscriber's, in place of the whole old one; {} clears it
	HostedNumberOrderSIDs *[]SID          `json:"hosted_number_order_sids,omitempty"` // the orders that the document authorizes from now on
	HostedNumberOrders    *[]OrderRef     `json:"hosted_number_orders,omitempty"`     // the same, with their numbers; the union of both lists counts
	Timers                *OwnTimers      `json:"timers,omitempty"`                   // its own timers, from the next time it is sent; an empty object means the settings in force
}

// StatusChanged asks for a document to get a status.
type StatusChanged struct {
	Status       Status          `json:"status"`                  // the status that is asked for
	Reason       string          `json:"reason,omitempty"`        // why, for canceled and failed
	CanceledBy   string          `json:"canceled_by,omitempty"`   // "signer" or "account"
	EndedBy      Ending          `json:"ended_by,omitempty"`      // how it ended; ignored unless the signing page wrote the event
	Evidence     json.RawMessage `json:"evidence,omitempty"`      // an object; kept as it came
	LetterDigest string          `json:"letter_digest,omitempty"` // "sha256:" and 64 hex digits, of the letter that was signed
	LetterKept   bool            `json:"letter_kept,omitempty"`   // the letter is in the object store of signed letters; ignored unless the signing page wrote the event
	Round        int             `json:"round,omitempty"`         // the document's round that the event is about; if the document is in another round, the event is refused. Left out: any round
}

// OrderStatusChanged is a report of the order service about an order. The
// subject names the order.
type OrderStatusChanged struct {
	Order         SID         `json:"-"`
	Status        OrderStatus `json:"status"`                   // the order's status
	PhoneNumber   string      `json:"phone_number,omitempty"`   // E.164
	FailureReason string      `json:"failure_reason,omitempty"` // in the order service's words
	LetterTooOld  bool        `json:"letter_too_old,omitempty"` // it was refused because its letter is too old
}

// Register asks the order service to register one number of a signed document.
type Register struct {
	OrderSID           SID       `json:"hosted_number_order_sid"`        // the order to register
	PhoneNumber        string    `json:"phone_number,omitempty"`         // E.164; left out if no event gave it
	DocumentSID        SID       `json:"authorization_document_sid"`     // the signed document that authorizes it
	AccountSID         SID       `json:"account_sid"`                    // whose document it is
	AddressSID         SID       `json:"address_sid"`                    // where the numbers are used
	Email              string    `json:"email"`                          // the signer
	ContactTitle       string    `json:"contact_title,omitempty"`        // of the contact at the signer
	ContactPhoneNumber string    `json:"contact_phone_number,omitempty"` // of the contact at the signer, E.164
	DateSigned         time.Time `json:"date_signed"`                    // when the log took the signature
	LetterDigest       string    `json:"letter_digest,omitempty"`        // "sha256:" and 64 hex digits, of the letter that was signed
}

// Became announces that a document now has a status; the whole document
// is the payload.
type Became struct{ Document }

// Refused announces that the event at Sequence was refused or became a dead
// letter.
type Refused struct {
	Sequence uint64 `json:"sequence"`               // where the refused event is on the log
	EventID  string `json:"event_id,omitempty"`     // the refused event's id; left out if it was unreadable
	Source   string `json:"event_source,omitempty"` // the refused event's source; left out if it was unreadable
	Problem
}

// TimerDue says that a timer of a document's round came due. Timers are
// "reminder-N", "expiry", "freshness", and "parked-N" for the parked event at
// sequence N. "expiry-N" and "freshness-N" were scheduled by the entry N. If
// the log takes the event before the timer is due, it does not count and is
// appended again later.
type TimerDue struct {
	Timer string    `json:"timer"`  // which timer: "expiry", "reminder-2", "parked-17"
	Round int       `json:"round"`  // the document's round, or for a parked event the number of the attempt
	DueAt time.Time `json:"due_at"` // when it was due
}

// Claimed reserves emails for a worker. The worker may send the emails if this
// event is appended directly after the last claim that the worker knew.
type Claimed struct {
	Worker string   `json:"worker"` // who sends them
	Mails  []MailID `json:"mails"`  // the emails that are reserved
}

// Settled carries the outcomes of emails that the claim at sequence Claim
// reserved. An outcome counts only if no later claim has reserved the email.
type Settled struct {
	Worker   string        `json:"worker"`   // who sent them
	Claim    uint64        `json:"claim"`    // sequence of the claim
	Outcomes []MailOutcome `json:"outcomes"` // one for each email
}

// RulesActivated switches every replica to a version of the rules at the same
// sequence, and carries the settings that the rules decide by.
type RulesActivated struct {
	Version             int          `json:"version"`                   // of the rules, starting at 1
	ParkingLimitSeconds int64        `json:"parking_limit_seconds"`     // how long a parked event may wait
	Timers              *Timers      `json:"timers,omitempty"`          // for documents without their own; left out: no timers
	MailLimits          *MailLimits  `json:"mail_limits,omitempty"`     // how often a document may ask its signer by email; left out: no limits
	LetterRequires      []LetterPart `json:"letter_requires,omitempty"` // what a letter must name before it is sent; left out: nothing
	NotifyCC            []Status     `json:"notify_cc,omitempty"`       // statuses about which cc is told, besides signing and signed: canceled, failed
}

// LetterStale announces that a signed letter is too old for orders that are not
// completed: these orders need a new letter.
type LetterStale struct {
	Reason     string    `json:"reason"`                   // "age", or "rejected" if the order service said so
	Round      int       `json:"round"`                    // the document's round
	DateSigned time.Time `json:"date_signed"`              // when the signature came to the log
	OrderSIDs  []SID     `json:"hosted_number_order_sids"` // the orders that are not completed
}

// Erased is what remains of an erased document: all earlier entries about it
// are removed from the log and from every database. It holds no personal data.
type Erased struct {
	DocumentSID SID           `json:"authorization_document_sid"`         // the erased document
	AccountSID  SID           `json:"account_sid"`                        // whose document it was
	Status      Status        `json:"status"`                             // its last status: signed, canceled or failed
	Round       int           `json:"round"`                              // its last round
	OrderSIDs   []SID         `json:"hosted_number_order_sids,omitempty"` // the orders that it authorized; a signed one keeps them
	Completed   []SID         `json:"completed_order_sids,omitempty"`     // those of a signed document's orders that were completed; the others failed
	Entries     []ErasedEntry `json:"entries"`                            // the entries that are removed from the log
	Blocked     []Blocked     `json:"blocked,omitempty"`                  // events of other documents that were refused because of it
}

// ErasedEntry is an entry that is removed from the log.
type ErasedEntry struct {
	Sequence uint64 `json:"sequence"`       // where it was on the log
	Type     string `json:"type,omitempty"` // of the event; left out if it was unreadable
	SHA256   string `json:"sha256"`         // of its payload, in hex
}

// Blocked is an event of another document that was refused because its order,
// or the order's telephone number, was on the erased one. A database that is
// rebuilt from the log can know this only from here.
type Blocked struct {
	Sequence uint64 `json:"sequence"`                // of the refused event
	OrderSID SID    `json:"hosted_number_order_sid"` // the refused event's order
	Code     Code   `json:"code"`                    // order_taken or number_taken
}

// Invalid is the body of a message that cannot be read as an event. It is never
// on the log: events.Decode makes it, and the rules turn it into a dead letter.
type Invalid struct {
	Problem
	Foreign bool   // it is on a subject that only Countersign writes to, and is not Countersign's
	EventID string // as far as it could be read
	Origin  string // the event's source, as far as it could be read
}

// Type implements Body.
func (Created) Type() string            { return TypeCreated }
func (Updated) Type() string            { return TypeUpdated }
func (StatusChanged) Type() string      { return TypeStatusChanged }
func (OrderStatusChanged) Type() string { return TypeOrderStatusChanged }
func (Register) Type() string           { return TypeRegister }
func (Became) Type() string             { return TypeBecame }
func (Refused) Type() string            { return TypeRefused }
func (TimerDue) Type() string           { return TypeTimerDue }
func (Claimed) Type() string            { return TypeMailClaimed }
func (Settled) Type() string            { return TypeMailSettled }
func (RulesActivated) Type() string     { return TypeRulesActivated }
func (Erased) Type() string             { return TypeErased }
func (LetterStale) Type() string        { return TypeLetterStale }
func (Invalid) Type() string            { return "" }
