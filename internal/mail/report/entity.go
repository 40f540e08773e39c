package report

import (
	"bytes"
	"encoding/base64"
	"mime"
	"regexp"
	"strings"
)

// Reports come from all kinds of mail servers, and servers on the way change
// them. The functions here read a message as far as they can: they skip a
// malformed line or parameter and keep everything else.

const (
	maxParts   = 200       // of a message, in all
	maxNesting = 8         // of parts in parts
	maxHeader  = 500       // fields of one header that are read
	maxHeaders = 256 << 10 // bytes of one header
	maxValue   = 8 << 10
)

// entity is a message or a part of one.
type entity struct {
	header []field
	body   []byte // still encoded
}

// field is a header field, unfolded; its name is in lower case.
type field struct{ name, value string }

// get returns the value of the first field of a name, "" if there is none.
func (e entity) get(name string) string {
	for _, f := range e.header {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// values returns the values of all fields of some names.
func (e entity) values(names ...string) (values []string) {
	for _, f := range e.header {
		for _, name := range names {
			if f.name == name {
				values = append(values, f.value)
			}
		}
	}
	return values
}

// plainLines converts all line ends of a message to \n, and removes what
// mailboxes and pipes put before it.
func plainLines(raw []byte) []byte {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	raw = bytes.ReplaceAll(raw, []byte("\r"), []byte("\n"))
	raw = bytes.TrimLeft(raw, "\n")
	for _, mailbox := range []string{"From ", ">From "} {
		if bytes.HasPrefix(raw, []byte(mailbox)) {
			_, raw, _ = bytes.Cut(raw, []byte("\n"))
		}
	}
	return raw
}

// headerLine matches the first line of a header field.
var headerLine = regexp.MustCompile(`^([!-9;-~]+)[ \t]*:(.*)$`)

// parseEntity splits a message into header and body. Lines of the header that
// are not fields are left out; if no empty line ends the header, the body
// begins at the first such line.
func parseEntity(raw []byte) entity {
	var e entity
	if len(raw) > maxHeaders { // a longer header is cut, or is none
		head := raw[:maxHeaders]
		if !bytes.Contains(head, []byte("\n\n")) {
			e = parseEntity(head)
			e.body = raw[len(head)-len(e.body):]
			return e
		}
	}
	stray := -1 // offset of the first line that is not a header field
	for at := 0; at < len(raw); {
		end := bytes.IndexByte(raw[at:], '\n') + at + 1
		if end == at {
			end = len(raw)
		}
		line := strings.TrimRight(string(raw[at:min(end, at+maxValue)]), "\n \t")
		last := len(e.header) - 1
		switch m := headerLine.FindStringSubmatch(line); {
		case line == "":
			e.body = raw[end:]
			return e
		case strings.HasPrefix(line, "--"): // a boundary: the empty line is missing
			e.body = raw[at:]
			return e
		case last >= 0 && (line[0] == ' ' || line[0] == '\t' || m == nil && strings.HasSuffix(e.header[last].value, ";")):
			if len(e.header[last].value) < maxValue {
				e.header[last].value += " " + strings.TrimSpace(line)
			}
		case m == nil:
			if stray < 0 {
				stray = at
			}
		case last+1 < maxHeader:
			e.header = append(e.header, field{strings.ToLower(m[1]), strings.TrimSpace(m[2])})
		}
		at = end
	}
	if stray >= 0 {
		e.body = raw[stray:]
	}
	return e
}

// kind is the media type in lower case, with its parameters. The type counts
// even if a parameter cannot be read.
func (e entity) kind() (kind string, params map[string]string) {
	value := e.get("content-type")
	kind, params, err := mime.ParseMediaType(value)
	if err == nil {
		return kind, params
	}
	kind, rest, _ := strings.Cut(value, ";")
	params = make(map[string]string)
	for _, p := range strings.Split(rest, ";") {
		name, value, _ := strings.Cut(p, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := params[name]; name != "" && !twice {
			params[name] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return strings.ToLower(strings.TrimSpace(kind)), params
}

// boundaryLine matches what looks like the first line of a part, and the
// boundary in it.
var boundaryLine = regexp.MustCompile(`(?mi)^--(\S[^\n]{0,200}?)[ \t]*\n(?:content-|[ \t]*\n)`)

// parts splits a multipart entity into its parts; it returns nil for other
// entities. It guesses a missing or damaged boundary, and the last part need
// not have an end.
func (e entity) parts() (parts []entity) {
	kind, params := e.kind()
	multi := strings.HasPrefix(kind, "multipart/")
	body := e.body
	if strings.EqualFold(strings.TrimSpace(e.get("content-transfer-encoding")), "base64") {
		body = e.decoded() // RFC 2045 forbids it
	}
	boundary := strings.TrimRight(params["boundary"], " \t")
	if !multi || boundary == "" || !bytes.Contains(body, []byte("--"+boundary)) {
		if !multi && !statusPart.Match(body) {
			return nil
		}
		m := boundaryLine.FindSubmatch(body)
		if m == nil {
			return nil
		}
		boundary = string(m[1])
	}
	begin := -1
	add := func(end int) {
		if begin >= 0 && len(parts) < maxParts {
			parts = append(parts, parseEntity(body[begin:end]))
		}
	}
	for at := 0; at < len(body); {
		end := bytes.IndexByte(body[at:], '\n') + at + 1
		if end == at {
			end = len(body)
		}
		if rest, ok := bytes.CutPrefix(body[at:end], []byte("--"+boundary)); ok {
			switch strings.TrimSpace(string(rest)) {
			case "":
				add(at)
				begin = end
			case "--":
				add(at)
				begin = -1
			}
		}
		at = end
	}
	add(len(body))
	return parts
}

// statusPart matches the header of a part that is a report, in a message that
// does not say that it has parts.
var statusPart = regexp.MustCompile(`(?mi)^content-type:[ \t]*message/(?:global-)?delivery-status`)

// decoded returns the decoded body, as far as it can be decoded. A part that
// does not follow its encoding is returned unchanged.
func (e entity) decoded() []byte {
	body := e.body
	switch strings.ToLower(strings.TrimSpace(e.get("content-transfer-encoding"))) {
	case "base64":
		body = fromBase64(body)
	case "quoted-printable":
		body = fromQuotedPrintable(body)
	}
	body = bytes.ReplaceAll(body, []byte{0}, nil) // UTF-16, of which the ASCII matters
	return bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
}

func fromBase64(body []byte) []byte {
	digits := bytes.Map(func(r rune) rune {
		if r == '\n' || r == ' ' || r == '\t' || r == '=' {
			return -1
		}
		return r
	}, body)
	end := bytes.IndexFunc(digits, func(r rune) bool {
		return !(r == '+' || r == '/' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z')
	})
	if end >= 0 && end < len(digits)/2 {
		return body // it is not base64
	}
	if end >= 0 {
		digits = digits[:end]
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(digits)))
	n, _ := base64.RawStdEncoding.Decode(out, digits[:len(digits)-len(digits)%4])
	if rest := digits[len(digits)-len(digits)%4:]; len(rest) > 1 {
		more, _ := base64.RawStdEncoding.DecodeString(string(rest)) // its spare bits do not matter
		return append(out[:n], more...)
	}
	return out[:n]
}

var escaped = regexp.MustCompile(`=(?:[ \t]*\n|[0-9A-Fa-f]{2})`)

// fromQuotedPrintable decodes what is encoded, and leaves the rest.
func fromQuotedPrintable(body []byte) []byte {
	return escaped.ReplaceAllFunc(body, func(m []byte) []byte {
		var c byte
		for _, d := range m[1:] {
			switch {
			case d <= ' ':
				return nil
			case d >= 'a':
				c = c<<4 | (d - 'a' + 10)
			case d >= 'A':
				c = c<<4 | (d - 'A' + 10)
			default:
				c = c<<4 | (d - '0')
			}
		}
		return []byte{c}
	})
}

// blocks reads blocks of header fields with empty lines between, as far as they
// can be read.
func blocks(text []byte) (out [][]field) {
	for _, block := range emptyLines.Split(string(text), maxParts) {
		if e := parseEntity([]byte(strings.TrimLeft(block, "\n"))); len(e.header) > 0 {
			out = append(out, e.header)
		}
	}
	return out
}

var emptyLines = regexp.MustCompile(`\n[ \t]*\n`)
