package workflow

import (
	"strconv"
	"strings"
)

// Writer says who wrote an entry. The subject proves it: only Countersign's own
// NATS user may write to the subjects of the doors and of Countersign.
type Writer string

// The writers.
const (
	WriterUpstream    Writer = "upstream"    // a service that publishes to the log; the event's source names it
	WriterPage        Writer = "page"        // the signing page, for the person who signs
	WriterAPI         Writer = "api"         // the REST API, for an account
	WriterOperator    Writer = "operator"    // a command of an operator
	WriterBounce      Writer = "bounce"      // countersign bounce, for a mail server
	WriterCountersign Writer = "countersign" // Countersign, because it follows from the rules
)

// Doors are the writers that have subjects of their own below a document:
// "by.<writer>.<what>".
var Doors = []Writer{WriterPage, WriterAPI, WriterOperator, WriterBounce}

// Source is the CloudEvents source of a writer's events. It is empty for
// upstream services, which have sources of their own.
func (w Writer) Source() string {
	switch w {
	case WriterPage:
		return "/sign"
	case WriterAPI, WriterOperator, WriterBounce:
		return "/" + string(w)
	case WriterCountersign:
		return Source
	}
	return ""
}

// Writer returns who wrote the entry.
func (e Entry) Writer() Writer {
	if e.Source == Source {
		return WriterCountersign
	}
	if _, rest, ok := strings.Cut(e.Subject, ".by."); ok {
		door, _, _ := strings.Cut(rest, ".")
		return Writer(door)
	}
	return WriterUpstream
}

// Asked says who asked for a status, as the log proves.
type Asked struct {
	Writer Writer `json:"writer"`            // upstream, page, api, operator or countersign
	Source string `json:"source"`            // CloudEvents source of the event that asked
	Actor  string `json:"actor,omitempty"`   // sid of the account or API key that the REST API was called with
	Entry  uint64 `json:"sequence,omitzero"` // where that event is on the log
}

// asked returns who wrote the entry.
func (e Entry) asked() Asked { return Asked{e.Writer(), e.Source, e.Actor, e.Sequence} }

// String names the writer for people: in a document's history, the letter and
// the evidence.
func (a Asked) String() string {
	switch a.Writer {
	case WriterPage:
		return "the signing page"
	case WriterAPI:
		if a.Actor != "" {
			return "the REST API with the key " + a.Actor
		}
		return "the REST API"
	case WriterOperator:
		return "an operator's command"
	case WriterBounce:
		return "countersign bounce"
	case WriterCountersign:
		return "Countersign"
	}
	return "the upstream service " + name(a.Source)
}

// name returns a source for use in a sentence. The publisher of an event
// chooses its source. If it has other characters than those of a URI (RFC 3986,
// section 2), it is quoted, because it could look like the rest of the
// sentence.
func name(source string) string {
	if strings.Trim(source, uriCharacters) == "" && source != "" {
		return source
	}
	return strconv.QuoteToASCII(source) // the same in every release of Go
}

// uriCharacters are those of RFC 3986, section 2, except the delimiters ! ' ( )
// * , ; because these could end a part of a sentence.
const uriCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#[]@$&+=%"

// by names who wrote the entry.
func (e Entry) by() string { return "by " + e.asked().String() }
