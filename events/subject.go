package events

import (
	"slices"
	"strconv"
	"strings"

	"countersign/workflow"
)

// Prefix begins every subject on the log, with the contract's version.
const Prefix = workflow.SubjectPrefix

// Nobody stands in a subject where an account or a document would.
const Nobody = "_"

// topic is what a subject says: whom the message is about, and the CloudEvents
// type that belongs there.
type topic struct {
	account, document, order workflow.SID // empty where the subject names none
	typ                      string
	id                       string          // of an event that is appended once: the subject without its prefix
	writer                   workflow.Writer // whose subject it is
	status                   workflow.Status // of became
	timer                    string          // of due
	number                   uint64          // round of became, due and stale, sequence of refused, discarded and quarantined
}

// parseSubject reads a subject, and reports whether it is one of the
// contract's. Account and document are set wherever their tokens are valid.
func parseSubject(subject string) (t topic, ok bool) {
	rest, ok := strings.CutPrefix(subject, Prefix)
	if !ok {
		return t, false
	}
	t.id, t.writer = rest, workflow.WriterCountersign
	account, rest, _ := strings.Cut(rest, ".")
	if account == Nobody {
		switch rest {
		case "mail.claimed":
			t.typ = workflow.TypeMailClaimed
			return t, true
		case "mail.settled":
			t.typ = workflow.TypeMailSettled
			return t, true
		case "rules.activated":
			t.typ = workflow.TypeRulesActivated
			return t, true
		}
		if sequence, ok := strings.CutPrefix(rest, "quarantined."); ok {
			t.typ = workflow.TypeQuarantined
			return t, parseNumber(sequence, &t.number)
		}
	}
	document, what, _ := strings.Cut(rest, ".")
	if isSID(account, "AC") {
		t.account = workflow.SID(account)
	}
	if isSID(document, "PX") {
		t.document = workflow.SID(document)
	}
	door, what := cutDoor(what)
	if !t.parseWhat(what) {
		return t, false
	}
	if upstream(t.typ) {
		t.writer = door
	} else if door != workflow.WriterUpstream {
		return t, false
	}
	switch {
	case !writes(t.writer, t.typ):
		return t, false
	case t.account != "" && t.document != "":
		return t, true
	}
	switch t.typ {
	case workflow.TypeRefused, workflow.TypeDiscarded:
		return t, account == Nobody && document == Nobody
	case workflow.TypeBounced: // a mail's id does not say whose it is
		return t, account == Nobody && t.document != ""
	}
	return t, false
}

// doorPrefix begins what follows the document on the subjects of a door.
const doorPrefix = "by."

// cutDoor takes the door off the rest of a subject. A door that there is not
// stays in the rest, which fits no event then.
func cutDoor(what string) (door workflow.Writer, rest string) {
	if named, ok := strings.CutPrefix(what, doorPrefix); ok {
		name, rest, _ := strings.Cut(named, ".")
		if slices.Contains(workflow.Doors, workflow.Writer(name)) {
			return workflow.Writer(name), rest
		}
	}
	return workflow.WriterUpstream, what
}

// writes reports whether events of the type come from the writer.
func writes(w workflow.Writer, typ string) bool {
	switch w {
	case workflow.WriterPage:
		return typ == workflow.TypeStatusChanged
	case workflow.WriterAPI:
		return typ == workflow.TypeCreated || typ == workflow.TypeUpdated || typ == workflow.TypeStatusChanged
	case workflow.WriterOperator:
		return typ == workflow.TypeUpdated || typ == workflow.TypeStatusChanged || typ == workflow.TypeResend
	case workflow.WriterBounce:
		return typ == workflow.TypeBounced
	case workflow.WriterUpstream:
		return upstream(typ)
	}
	return !upstream(typ)
}

// ownSource reports whether a CloudEvents source is one of Countersign's own.
func ownSource(source string) bool {
	return source == Source || slices.ContainsFunc(workflow.Doors, func(w workflow.Writer) bool { return w.Source() == source })
}

// parseWhat reads what follows account and document.
func (t *topic) parseWhat(what string) (ok bool) {
	switch what {
	case "created":
		t.typ = workflow.TypeCreated
		return true
	case "updated":
		t.typ = workflow.TypeUpdated
		return true
	case "status":
		t.typ = workflow.TypeStatusChanged
		return true
	case "resend":
		t.typ = workflow.TypeResend
		return true
	case "bounced":
		t.typ = workflow.TypeBounced
		return true
	case "erased":
		t.typ = workflow.TypeErased
		return true
	}
	kind, rest, _ := strings.Cut(what, ".")
	first, second, _ := strings.Cut(rest, ".")
	switch kind {
	case "order":
		return t.parseOrder(first, second)
	case "became":
		t.typ, t.status = workflow.TypeBecame, workflow.Status(first)
		return slices.Contains(workflow.Statuses, t.status) && parseNumber(second, &t.number)
	case "due":
		t.typ, t.timer = workflow.TypeTimerDue, first
		return isTimer(first) && parseNumber(second, &t.number)
	case "stale":
		t.typ = workflow.TypeLetterStale
		return parseNumber(rest, &t.number)
	case "refused":
		t.typ = workflow.TypeRefused
		return parseNumber(rest, &t.number)
	case "discarded":
		t.typ = workflow.TypeDiscarded
		return parseNumber(rest, &t.number)
	}
	return false
}

func (t *topic) parseOrder(order, what string) (ok bool) {
	if !isSID(order, "HR") {
		return false
	}
	t.order = workflow.SID(order)
	switch what {
	case "status":
		t.typ = workflow.TypeOrderStatusChanged
	case "register":
		t.typ = workflow.TypeRegister
	}
	return t.typ != ""
}

// upstream reports whether events of the type come from other services too.
func upstream(typ string) bool { return slices.Contains(upstreamTypes, typ) }

var upstreamTypes = []string{
	workflow.TypeCreated, workflow.TypeUpdated, workflow.TypeStatusChanged, workflow.TypeOrderStatusChanged,
	workflow.TypeResend, workflow.TypeBounced,
}

// known reports whether the contract has the type.
func known(typ string) bool {
	switch typ {
	case workflow.TypeBecame, workflow.TypeRefused, workflow.TypeTimerDue, workflow.TypeRegister,
		workflow.TypeMailClaimed, workflow.TypeMailSettled, workflow.TypeRulesActivated,
		workflow.TypeDiscarded, workflow.TypeQuarantined, workflow.TypeErased, workflow.TypeLetterStale:
		return true
	}
	return upstream(typ)
}

// isSID reports whether s is a sid that begins with the two letters.
func isSID(s, letters string) bool {
	if len(s) != 34 || s[:2] != letters {
		return false
	}
	for i := 2; i < len(s); i++ {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// isTimer reports whether a timer has that name.
func isTimer(name string) bool {
	var n uint64
	switch kind, number, numbered := strings.Cut(name, "-"); kind {
	case "expiry", "freshness":
		return !numbered || parseNumber(number, &n)
	case "reminder", "parked":
		return parseNumber(number, &n)
	}
	return false
}

// parseNumber reads a count from 1 on. A number has one spelling only, or one
// event could stand on two subjects.
func parseNumber(s string, n *uint64) (ok bool) {
	if s == "" || s[0] == '0' || s[0] == '+' {
		return false
	}
	v, err := strconv.ParseUint(s, 10, 64)
	*n = v
	return err == nil
}

// AccountOf is the account that a subject names, or "".
func AccountOf(subject string) workflow.SID {
	to, _ := parseSubject(subject)
	return to.account
}

// StreamName is the stream that is the log.
const StreamName = "AUTHDOCS"
