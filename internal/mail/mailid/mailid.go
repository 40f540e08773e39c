// Package mailid writes the id of an email into its header and its return path,
// and finds it in what mail servers send back.
package mailid

import (
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"countersign/workflow"
)

// Header is the header field that holds the id of an email. Some servers on the
// way replace the Message-ID; they keep this field.
const Header = "X-Countersign-Mail"

// Placeholder is replaced in a return path by the id of an email, so that the
// address of a report says which email it is about (VERP):
// "bounces+{mail}@example.com".
const Placeholder = "{mail}"

const (
	maxLocal = 64 // octets of a local part, RFC 5321 section 4.5.3.1.1
	// verpPrefix begins the id of an email in an address.
	verpPrefix = "cs"
)

// verpDigits are the same in upper and lower case: mail servers change the case
// of addresses.
var verpDigits = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// verp writes the id of an email as part of an address: the sid's 16 bytes, the
// kind, round, number, and, if the sid has digits in upper case, which ones.
// It returns "" for an id that is not one of ours.
func verp(id workflow.MailID) string {
	if !id.Valid() {
		return ""
	}
	kind := slices.Index(workflow.MailKinds, id.Kind())
	digits := strings.TrimPrefix(string(id.Document()), "PX")
	raw, err := hex.DecodeString(digits)
	if kind < 0 || err != nil {
		return ""
	}
	var upper uint32
	for i, c := range digits {
		if 'A' <= c && c <= 'F' {
			upper |= 1 << i
		}
	}
	number, err := strconv.ParseUint(string(id)[strings.LastIndexByte(string(id), '.')+1:], 10, 64)
	if err != nil {
		return ""
	}
	raw = append(raw, byte(kind))
	raw = binary.AppendUvarint(raw, uint64(id.Round()))
	raw = binary.AppendUvarint(raw, number)
	if upper != 0 {
		raw = binary.AppendUvarint(raw, uint64(upper))
	}
	return verpPrefix + verpDigits.EncodeToString(raw)
}

// unverp reads what verp wrote, in whatever case it came back. It returns ""
// for anything else.
func unverp(s string) workflow.MailID {
	text, ok := strings.CutPrefix(strings.ToLower(s), verpPrefix)
	raw, err := verpDigits.DecodeString(text)
	if !ok || err != nil || len(raw) < 19 || int(raw[16]) >= len(workflow.MailKinds) {
		return ""
	}
	digits, rest := []byte(hex.EncodeToString(raw[:16])), raw[17:]
	var numbers []uint64 // round, number, upper-case digits
	for len(rest) > 0 {
		n, length := binary.Uvarint(rest)
		if length <= 0 {
			return ""
		}
		numbers, rest = append(numbers, n), rest[length:]
	}
	if len(numbers) != 2 && len(numbers) != 3 {
		return ""
	}
	for i := range digits {
		if len(numbers) == 3 && numbers[2]&(1<<i) != 0 && digits[i] >= 'a' {
			digits[i] -= 'a' - 'A'
		}
	}
	id := workflow.MailID(fmt.Sprintf("PX%s.%d.%s.%d", digits, numbers[0], workflow.MailKinds[raw[16]], numbers[1]))
	if verp(id) != strings.ToLower(s) { // a token has one spelling
		return ""
	}
	return id
}

// ReturnPath is the return path of an email. If its id does not fit into the
// local part, the address is what is before the mark, without a separator at
// its end, and what is after it.
func ReturnPath(address string, id workflow.MailID) string {
	local, domain, _ := strings.Cut(address, "@")
	before, after, ok := strings.Cut(local, Placeholder)
	if !ok {
		return address
	}
	mark := verp(id)
	if mark == "" || len(before)+len(mark)+len(after) > maxLocal {
		return strings.TrimRight(before, "+-=_.") + after + "@" + domain
	}
	return before + mark + after + "@" + domain
}

var (
	// markPattern matches the id of an email, with the characters that may be
	// around it.
	markPattern = regexp.MustCompile(`(?i)(?:^|[^a-z0-9._-])(px[0-9a-f]{32}\.[1-9][0-9]{0,8}\.[a-z_]{1,32}\.[0-9]{1,20})(?:[^a-z0-9._-]|\.?$|\.\s)`)
	// verpPattern matches an id in an address: a return path of ours, and what
	// forwarding servers make of one (SRS, BATV).
	verpPattern = regexp.MustCompile(`(?i)(?:^|[^a-z0-9])(` + verpPrefix + `[a-z2-7]{30,62})(?:@|=|%40|$)`)
)

// maxIDs is how many ids are looked for in one text.
const maxIDs = 50

// Find lists the ids of our emails in a text, each once, in their order. The
// form is strict, so that nothing else matches.
func Find(text string) (ids []workflow.MailID) {
	// Two ids may share the character between them, so matches may overlap.
	for rest := text; len(ids) < maxIDs; {
		at := markPattern.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		id := asWritten(rest[at[2]:at[3]])
		if id.Valid() && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		rest = rest[at[3]:]
	}
	for _, m := range verpPattern.FindAllStringSubmatch(text, maxIDs) {
		if id := unverp(m[1]); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// asWritten restores the case of an id that a server has changed, as far as
// possible.
func asWritten(s string) workflow.MailID {
	sid, rest, _ := strings.Cut(s, ".")
	return workflow.MailID("PX" + sid[2:] + "." + strings.ToLower(rest))
}
