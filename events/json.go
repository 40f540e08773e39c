package events

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"

	"countersign/workflow"
)

// value is one value in a valid JSON text, and its place there. Reading value
// by value instead of into a struct distinguishes null from absent, compares
// names exactly, notices duplicate names, and knows the place of each fault.
type value struct {
	raw    []byte
	parent *value
	name   []byte // of a member of an object, as written between the quotes
	index  int    // of an item of a list; name is nil then
}

// path returns the place of the value as publishers write it:
// data.cc_emails[2].
func (v *value) path() string {
	switch {
	case v.parent == nil:
		return string(v.name)
	case v.name == nil:
		return v.parent.path() + "[" + strconv.Itoa(v.index) + "]"
	case v.parent.parent == nil && v.parent.name == nil:
		return string(v.name)
	}
	return v.parent.path() + "." + string(v.name)
}

func (v *value) isNull() bool { return v.raw[0] == 'n' }

// kind returns the JSON type of the value, for messages to publishers.
func (v *value) kind() string {
	switch v.raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// reader reads values and keeps the first problem that it finds. What it
// returns after a problem must not be used.
type reader struct{ problem *workflow.Problem }

// want records that the value must be of another JSON type.
func (r *reader) want(v *value, kind string) {
	hint := ""
	if v.isNull() {
		hint = "; leave it out instead"
	}
	r.fail(workflow.CodeInvalid, v.path(), "want %s, got %s%s", kind, v.kind(), hint)
}

func (r *reader) str(v value) string {
	if v.raw[0] != '"' {
		r.want(&v, "a string")
		return ""
	}
	return unquote(v.raw)
}

func (r *reader) boolean(v value) bool {
	if v.raw[0] != 't' && v.raw[0] != 'f' {
		r.want(&v, "a boolean")
	}
	return v.raw[0] == 't'
}

// list yields the items of a list.
func (r *reader) list(list value) iter.Seq[value] {
	return func(yield func(value) bool) {
		if list.raw[0] != '[' {
			r.want(&list, "a list")
			return
		}
		raw := list.raw
		for i, n := space(raw, 1), 0; raw[i] != ']'; n++ {
			end := valueEnd(raw, i)
			if !yield(value{raw: raw[i:end], parent: &list, index: n}) {
				return
			}
			if i = space(raw, end); raw[i] == ',' {
				i = space(raw, i+1)
			}
		}
	}
}

// members yields the members of an object. A duplicate name makes the text
// unreadable, because it is unclear which of the two counts.
func (r *reader) members(object value) iter.Seq[value] {
	return func(yield func(value) bool) {
		if object.raw[0] != '{' {
			r.want(&object, "an object")
			return
		}
		var seen names
		raw := object.raw
		for i := space(raw, 1); raw[i] != '}'; {
			end := stringEnd(raw, i)
			m := value{parent: &object, name: raw[i+1 : end-1]}
			if bytes.IndexByte(m.name, '\\') >= 0 {
				m.name = []byte(unquote(raw[i:end]))
			}
			if seen.twice(m.name) {
				r.fail(workflow.CodeUnreadable, m.path(), "given twice")
				return
			}
			i = space(raw, space(raw, end)+1) // after the colon
			end = valueEnd(raw, i)
			m.raw = raw[i:end]
			if !yield(m) {
				return
			}
			if i = space(raw, end); raw[i] == ',' {
				i = space(raw, i+1)
			}
		}
	}
}

// names detects duplicate names. It compares a few names one by one, which
// costs less than a map, and uses a map for many, because comparing them could
// take seconds.
type names struct {
	few  [16][]byte
	n    int
	many map[string]bool
}

func (s *names) twice(name []byte) bool {
	for _, other := range s.few[:min(s.n, len(s.few))] {
		if bytes.Equal(other, name) {
			return true
		}
	}
	s.n++
	if s.n <= len(s.few) {
		s.few[s.n-1] = name
		return false
	}
	if s.many == nil {
		s.many = make(map[string]bool)
	}
	met := s.many[string(name)]
	s.many[string(name)] = true
	return met
}

func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s) // json.Valid has accepted it
	return s
}

// space returns the place of the first byte from i on that is not white space.
func space(raw []byte, i int) int {
	for raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r' {
		i++
	}
	return i
}

// stringEnd returns the end of the string that begins at i.
func stringEnd(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd returns the end of the value that begins at i. It does not recurse,
// so that deep nesting cannot exhaust the stack.
func valueEnd(raw []byte, i int) int {
	for depth := 0; ; {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++
			continue
		default:
			for i < len(raw) && bytes.IndexByte([]byte(",]} \t\n\r"), raw[i]) < 0 {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}

// nesting returns how many levels of lists and objects the value has.
func nesting(raw []byte) int {
	depth, deepest := 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i) - 1
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}
