package events

import (
	"slices"
	"strconv"
	"strings"

	"countersign/workflow"
)

// Prefix begins every subject on the log, with the contract's version.
const Prefix = workflow.SubjectPrefix

// Nobody takes the place of the account or the document in a subject that names
// none.
const Nobody = "_"

// topic has what a subject says: the account, the document and the kind of
// event.
type topic struct {
	account, document, order workflow.SID // empty if the subject names none
	address                  workflow.SID
	webhook                  workflow.SID // the same
	kind                     *workflow.Kind
	writer                   workflow.Writer // who may write to the subject
	id                       string          // of an event that is on the log once: the subject without its prefix
	status                   workflow.Status // {status} of the kind's subject
	timer                    string          // {timer}
	number                   uint64          // {round} or {sequence}
}

// pattern is one subject of a kind, cut into its tokens.
type pattern struct {
	kind   *workflow.Kind
	tokens []string
}

// patterns has the subjects of all kinds, by the first token that is a word,
// that is neither a placeholder nor Nobody.
var patterns = func() map[string][]pattern {
	all := map[string][]pattern{}
	for _, k := range workflow.Kinds() {
		for _, subject := range k.Subjects {
			tokens := strings.Split(subject, ".")
			word := tokens[slices.IndexFunc(tokens, func(t string) bool { return t != Nobody && t[0] != '{' })]
			all[word] = append(all[word], pattern{k, tokens})
		}
	}
	return all
}()

// doorToken comes before the name of a door, between the document and the rest.
const doorToken = "by"

// parseSubject reads a subject, and reports whether the contract has it.
// Account and document are set if their tokens are valid, whatever follows
// them.
func parseSubject(subject string) (t topic, ok bool) {
	rest, ok := strings.CutPrefix(subject, Prefix)
	if !ok {
		return t, false
	}
	t.id = rest
	var few [8]string // no subject of the contract has more tokens
	tokens := few[:0]
	for token := range strings.SplitSeq(rest, ".") {
		tokens = append(tokens, token)
	}
	if isSID(tokens[0], "AC") {
		t.account = workflow.SID(tokens[0])
	}
	if len(tokens) > 1 && isSID(tokens[1], "PX") {
		t.document = workflow.SID(tokens[1])
	}
	if len(tokens) < 3 {
		return t, false
	}
	t.writer = workflow.WriterUpstream
	if len(tokens) > 4 && tokens[2] == doorToken && slices.Contains(workflow.Doors, workflow.Writer(tokens[3])) {
		t.writer = workflow.Writer(tokens[3])
		tokens = slices.Delete(tokens, 2, 4)
	}
	if !t.match(tokens, 2) && !t.match(tokens, 1) {
		return t, false
	}
	if t.writer == workflow.WriterUpstream && !t.kind.Upstream() {
		t.writer = workflow.WriterCountersign
	}
	return t, slices.Contains(t.kind.Writers, t.writer)
}

// match finds the pattern that the tokens fit and whose first word is the token
// at index word.
func (t *topic) match(tokens []string, word int) bool {
	for _, p := range patterns[tokens[word]] {
		if len(p.tokens) != len(tokens) {
			continue
		}
		fits := true
		for i := 0; fits && i < len(tokens); i++ {
			fits = t.take(p.tokens[i], tokens[i])
		}
		if fits {
			t.kind = p.kind
			return true
		}
	}
	return false
}

// take reads one token of a subject: a word, which must be the wanted one, or
// the value of a placeholder.
func (t *topic) take(want, token string) bool {
	switch want {
	case "{account}":
		return t.account != ""
	case "{document}":
		return t.document != ""
	case "{order}":
		t.order = workflow.SID(token)
		return isSID(token, "HR")
	case "{address}":
		t.address = workflow.SID(token)
		return isSID(token, "AD")
	case "{webhook}":
		t.webhook = workflow.SID(token)
		return isSID(token, "WH")
	case "{status}":
		t.status = workflow.Status(token)
		return slices.Contains(workflow.Statuses, t.status)
	case "{timer}":
		t.timer = token
		return isTimer(token)
	case "{round}", "{sequence}":
		return parseNumber(token, &t.number)
	}
	return token == want
}

// ownSource reports whether a CloudEvents source is one of Countersign's own.
func ownSource(source string) bool {
	return source == Source || slices.ContainsFunc(workflow.Doors, func(w workflow.Writer) bool { return w.Source() == source })
}

// upstreamTypes lists the types of events that services other than Countersign
// may publish.
func upstreamTypes() (types []string) {
	for _, k := range workflow.Kinds() {
		if k.Upstream() {
			types = append(types, k.Type)
		}
	}
	return types
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

// isTimer reports whether the name is a valid name of a timer.
func isTimer(name string) bool {
	var n uint64
	switch kind, number, numbered := strings.Cut(name, "-"); kind {
	case "expiry", "freshness", "waiting":
		return !numbered || parseNumber(number, &n)
	case "reminder", "parked":
		return parseNumber(number, &n)
	}
	return false
}

// parseNumber reads a number from 1. It accepts only one spelling of each
// number; otherwise one event could be on two subjects.
func parseNumber(s string, n *uint64) (ok bool) {
	if s == "" || s[0] == '0' || s[0] == '+' {
		return false
	}
	v, err := strconv.ParseUint(s, 10, 64)
	*n = v
	return err == nil
}

// AccountOf returns the account that a subject names, or "".
func AccountOf(subject string) workflow.SID {
	to, _ := parseSubject(subject)
	return to.account
}

// StreamName is the name of the JetStream stream that is the log.
const StreamName = "AUTHDOCS"
