package db

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"countersign/db/internal/sqlc"
	"countersign/workflow"
)

func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMS(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

func ns(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNS(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// encode is JSON of values that always encode.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return string(b)
}

// encodeAny is JSON of a value, and empty for one that says nothing.
func encodeAny(v any) string {
	switch s := encode(v); s {
	case "null", "{}", "[]":
		return ""
	default:
		return s
	}
}

// decodeAny reads what encodeAny wrote.
func decodeAny(s string, into any) error {
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), into)
}

func position(p sqlc.Position) (Position, error) {
	out := Position{
		Sequence: uint64(p.Sequence), Time: fromNS(p.EntryNs), ID: p.EventID, Source: p.Source, Stream: fromNS(p.StreamNs),
		Claim: uint64(p.Claim), ClaimWorker: p.ClaimWorker, Worker: p.Worker,
		HookClaim: uint64(p.HookClaim), HookWorker: p.HookWorker,
		Settings: workflow.Settings{Rules: int(p.Rules), ParkingLimit: time.Duration(p.ParkingMS) * time.Millisecond},
	}
	if err := errors.Join(decodeAny(p.Timers, &out.Timers), decodeAny(p.MailLimits, &out.MailLimits), decodeAny(p.NotifyCC, &out.NotifyCC), decodeAny(p.LetterRequires, &out.Requires)); err != nil {
		return out, fmt.Errorf("settings of the rules: %w", err)
	}
	return out, nil
}

func documentRow(d workflow.Document) sqlc.AddDocumentParams {
	r := sqlc.AddDocumentParams{
		SID: d.SID, AccountSID: d.AccountSID, Status: d.Status, Round: int64(d.Round), Hold: d.Hold, AddressSID: d.AddressSID,
		Email: d.Email, CCEmails: encode(d.CCEmails), HostedNumberOrders: encode(d.Orders), ContactTitle: d.ContactTitle,
		ContactPhoneNumber: d.ContactPhoneNumber, Reason: d.Reason, CanceledBy: d.CanceledBy, Evidence: string(d.Evidence),
		LetterDigest: d.LetterDigest, LetterStale: d.LetterStale, CreatedMS: ms(d.DateCreated), UpdatedMS: ms(d.DateUpdated),
		SignedMS: msOr0(d.DateSigned), Timers: encodeAny(d.Timers), ExpiresMS: msOr0(d.ExpiresAt), FreshMS: msOr0(d.FreshUntil), WaitsFor: encodeAny(d.WaitsFor),
	}
	if more := detailsOf(d); more != (details{}) {
		r.Details = encode(more)
	}
	return r
}

// details is what few documents have; it shares one column.
type details struct {
	Locale         string                  `json:"locale,omitempty"`
	Subscriber     string                  `json:"subscriber,omitempty"`
	ServiceAddress workflow.ServiceAddress `json:"service_address,omitzero"`
	AskedBy        workflow.Asked          `json:"asked_by,omitzero"`
	EndedBy        workflow.Ending         `json:"ended_by,omitempty"`
	LetterKept     bool                    `json:"letter_kept,omitempty"`

	SubscriberFrom     workflow.SID `json:"subscriber_from,omitempty"`
	ServiceAddressFrom workflow.SID `json:"service_address_from,omitempty"`
}

func detailsOf(d workflow.Document) details {
	return details{d.Locale, d.Subscriber, d.ServiceAddress, d.AskedBy, d.EndedBy, d.LetterKept, d.SubscriberFrom, d.ServiceAddressFrom}
}

// msOr0 is a time that may be missing.
func msOr0(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return ms(*t)
}

// fromMSOr is what msOr0 wrote.
func fromMSOr(n int64) *time.Time {
	if n == 0 {
		return nil
	}
	return new(fromMS(n))
}

// document is what documentRow wrote.
func document(r sqlc.Document) (workflow.Document, error) {
	d := workflow.Document{
		SID: r.SID, AccountSID: r.AccountSID, Status: r.Status, Round: int(r.Round), Hold: r.Hold, AddressSID: r.AddressSID,
		Email: r.Email, ContactTitle: r.ContactTitle, ContactPhoneNumber: r.ContactPhoneNumber,
		Reason: r.Reason, CanceledBy: r.CanceledBy, LetterDigest: r.LetterDigest, LetterStale: r.LetterStale,
		DateCreated: fromMS(r.CreatedMS), DateUpdated: fromMS(r.UpdatedMS), DateSigned: fromMSOr(r.SignedMS),
		ExpiresAt: fromMSOr(r.ExpiresMS), FreshUntil: fromMSOr(r.FreshMS),
	}
	if r.Evidence != "" {
		d.Evidence = json.RawMessage(r.Evidence)
	}
	if err := decodeAny(r.Timers, &d.Timers); err != nil {
		return d, fmt.Errorf("timers of %s: %w", r.SID, err)
	}
	if r.Details != "" {
		var more details
		if err := json.Unmarshal([]byte(r.Details), &more); err != nil {
			return d, fmt.Errorf("details of %s: %w", r.SID, err)
		}
		d.Locale, d.Subscriber, d.ServiceAddress = more.Locale, more.Subscriber, more.ServiceAddress
		d.AskedBy, d.EndedBy, d.LetterKept = more.AskedBy, more.EndedBy, more.LetterKept
		d.SubscriberFrom, d.ServiceAddressFrom = more.SubscriberFrom, more.ServiceAddressFrom
	}
	if err := decodeAny(r.WaitsFor, &d.WaitsFor); err != nil {
		return d, fmt.Errorf("what %s waits for: %w", r.SID, err)
	}
	var err error
	if d.CCEmails, err = stringList(r.CCEmails); err != nil {
		return d, fmt.Errorf("cc emails of %s: %w", r.SID, err)
	}
	if err := json.Unmarshal([]byte(r.HostedNumberOrders), &d.Orders); err != nil {
		return d, fmt.Errorf("orders of %s: %w", r.SID, err)
	}
	return d, nil
}

// stringList reads a JSON array of strings that encode has written.
func stringList(s string) (out []string, err error) {
	if inner, ok := strings.CutPrefix(s, `["`); ok && !strings.Contains(s, `\`) {
		if inner, ok = strings.CutSuffix(inner, `"]`); ok { // without escapes, a quote ends a string
			return strings.Split(inner, `","`), nil
		}
	}
	return out, json.Unmarshal([]byte(s), &out)
}

// mailRow is a mail as its table keeps it. What it is about is left as it is
// there if the mail does not say.
func mailRow(m workflow.Mail) sqlc.PutMailParams {
	_, domain, _ := strings.Cut(m.Recipient, "@")
	r := sqlc.PutMailParams{
		ID: m.ID, Kind: m.Kind, Recipient: m.Recipient, Domain: strings.ToLower(domain), State: m.State,
		CauseSeq: int64(m.CauseSeq), CauseIndex: int64(m.CauseIndex), CausedMS: ms(m.CausedAt), DueMS: ms(m.Due),
		Attempts: int64(m.Attempts), Claim: int64(m.Claim), Doubts: int64(m.Doubts), TroubleMS: ms(m.Trouble), Withdrawn: m.Withdrawn,
		Code: int64(m.Code), Reply: m.Reply, DoneMS: ms(m.DoneAt),
	}
	if m.About != nil {
		r.About = encode(m.About)
	}
	return r
}

// mail is what mailRow wrote.
func mail(r sqlc.Mail) (workflow.Mail, error) {
	m := workflow.Mail{
		ID: r.ID, Document: r.ID.Document(), Round: r.ID.Round(), Kind: r.Kind, Recipient: r.Recipient, State: r.State,
		CauseSeq: uint64(r.CauseSeq), CauseIndex: int(r.CauseIndex), CausedAt: fromMS(r.CausedMS), Due: fromMS(r.DueMS),
		Attempts: int(r.Attempts), Claim: uint64(r.Claim), Doubts: int(r.Doubts), Trouble: fromMS(r.TroubleMS), Withdrawn: r.Withdrawn,
		Code: int(r.Code), Reply: r.Reply, DoneAt: fromMS(r.DoneMS),
	}
	if r.About != "" {
		if err := json.Unmarshal([]byte(r.About), &m.About); err != nil {
			return m, fmt.Errorf("what mail %s is about: %w", r.ID, err)
		}
	}
	return m, nil
}

func pendingMail(r sqlc.LoadPendingMailsRow) workflow.Mail {
	return workflow.Mail{
		ID: r.ID, Document: r.ID.Document(), Round: r.ID.Round(), Kind: r.Kind, Recipient: r.Recipient, State: r.State,
		CauseSeq: uint64(r.CauseSeq), CauseIndex: int(r.CauseIndex), CausedAt: fromMS(r.CausedMS), Due: fromMS(r.DueMS),
		Attempts: int(r.Attempts), Claim: uint64(r.Claim), Doubts: int(r.Doubts), Trouble: fromMS(r.TroubleMS), Withdrawn: r.Withdrawn,
		Code: int(r.Code), Reply: r.Reply,
	}
}

func timer(r sqlc.Timer) workflow.Timer {
	return workflow.Timer{
		Kind: r.Timer, Number: uint64(r.Number), Due: fromMS(r.DueMS),
		Every: time.Duration(r.EveryMS) * time.Millisecond, More: int(r.More), Early: int(r.Early),
	}
}

func outboxRow(o workflow.PendingEvent, settled int64) sqlc.AddOutboxEventParams {
	return sqlc.AddOutboxEventParams{
		Subject: o.Subject(), Type: o.Body.Type(), Body: encode(o.Body), Cause: int64(o.Cause),
		AtMS: ms(o.At), DueMS: ms(o.Due), Answers: int64(o.Answers), DoneSeq: settled,
	}
}

func pendingEvent(r sqlc.OutboxEvent) (workflow.PendingEvent, error) {
	body, err := workflow.DecodeBody(r.Type, []byte(r.Body))
	if err != nil {
		return workflow.PendingEvent{}, fmt.Errorf("body of owed event %s: %w", r.Subject, err)
	}
	account, rest, _ := strings.Cut(strings.TrimPrefix(r.Subject, workflow.SubjectPrefix), ".")
	sid, what, _ := strings.Cut(rest, ".")
	return workflow.PendingEvent{
		Account: workflow.SID(account), Document: workflow.SID(sid), What: what, Body: body,
		Cause: uint64(r.Cause), At: fromMS(r.AtMS), Due: fromMS(r.DueMS), Answers: uint64(r.Answers),
	}, nil
}

func parkedRow(p workflow.Parked) sqlc.AddParkedParams {
	e := p.Entry
	r := sqlc.AddParkedParams{
		Sequence: int64(e.Sequence), DocumentSID: e.Document, AccountSID: e.Account, Source: e.Source, EventID: e.ID, Actor: e.Actor,
		Subject: e.Subject, Type: e.Body.Type(), Body: encode(e.Body), EntryNs: ns(e.Time), UntilMS: ms(p.Until),
	}
	if b, ok := e.Body.(workflow.OrderStatusChanged); ok {
		r.OrderSID = b.Order
	}
	return r
}

func parked(r sqlc.Parked) (workflow.Parked, error) {
	body, err := workflow.DecodeBody(r.Type, []byte(r.Body))
	if err != nil {
		return workflow.Parked{}, fmt.Errorf("body of parked event %d: %w", r.Sequence, err)
	}
	if b, ok := body.(workflow.OrderStatusChanged); ok {
		b.Order = r.OrderSID
		body = b
	}
	return workflow.Parked{Until: fromMS(r.UntilMS), Entry: workflow.Entry{
		Sequence: uint64(r.Sequence), Time: fromNS(r.EntryNs), Subject: r.Subject, Account: r.AccountSID,
		Document: r.DocumentSID, Order: r.OrderSID, ID: r.EventID, Source: r.Source, Actor: r.Actor, Body: body,
	}}, nil
}
