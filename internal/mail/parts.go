package mail

import (
	"bufio"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"strings"
)

const (
	maxParts   = 100 // of a report, in all
	maxNesting = 5   // of multiparts in it
)

// reportPart is a part of a message on its way.
type reportPart struct {
	kind, encoding string
	body           io.Reader
}

// reportParts is what is found in a report.
type reportParts struct {
	n        int
	status   []map[string]string // what it says of the mail, and of each recipient; names in lower case
	returned string              // Message-ID of the mail that it brings back
}

func (p *reportParts) walk(in reportPart, depth int) {
	if p.n++; p.n > maxParts || depth > maxNesting {
		return
	}
	kind, params, err := mime.ParseMediaType(in.kind)
	if err != nil {
		return
	}
	switch kind {
	case "message/delivery-status", "message/global-delivery-status":
		if blocks := fieldBlocks(in.decoded()); p.status == nil && len(blocks) > 0 {
			p.status = blocks
		}
	case "message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers":
		if blocks := fieldBlocks(in.decoded()); p.returned == "" && len(blocks) > 0 {
			p.returned = blocks[0]["message-id"]
		}
	default:
		if !strings.HasPrefix(kind, "multipart/") {
			return
		}
		for parts := multipart.NewReader(in.body, params["boundary"]); p.n <= maxParts; {
			next, err := parts.NextRawPart()
			if err != nil {
				return
			}
			p.walk(reportPart{next.Header.Get("Content-Type"), next.Header.Get("Content-Transfer-Encoding"), next}, depth+1)
		}
	}
}

// decoded is the part's body. RFC 3464 and RFC 2046 want it plain; not every
// mail server keeps to that.
func (in reportPart) decoded() io.Reader {
	switch strings.ToLower(strings.TrimSpace(in.encoding)) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, in.body)
	case "quoted-printable":
		return quotedprintable.NewReader(in.body)
	}
	return in.body
}

const (
	maxBlocks = 50       // of fields that are read of a part
	maxFields = 64 << 10 // bytes of them
)

// fieldBlocks reads blocks of header fields with empty lines between, as far as
// they can be read. The first field of a name counts.
func fieldBlocks(from io.Reader) (blocks []map[string]string) {
	lines := bufio.NewScanner(io.LimitReader(from, maxFields))
	lines.Buffer(nil, maxFields)
	block, name := map[string]string{}, ""
	end := func() {
		if len(block) > 0 {
			blocks = append(blocks, block)
		}
		block, name = map[string]string{}, ""
	}
	for lines.Scan() && len(blocks) < maxBlocks {
		line := lines.Text()
		switch field, value, ok := strings.Cut(line, ":"); {
		case strings.TrimSpace(line) == "":
			end()
		case line[0] == ' ' || line[0] == '\t':
			if name != "" {
				block[name] += " " + strings.TrimSpace(line)
			}
		case ok:
			if name = strings.ToLower(strings.TrimSpace(field)); block[name] != "" {
				name = "" // and what it goes on with
				continue
			}
			block[name] = strings.TrimSpace(value)
		}
	}
	end()
	return blocks
}
