package api

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// appender writes itself as JSON behind b. It writes what encoding/json does without
// escapes for HTML, and does not look up types for that: a list of 50 documents has 500 strings.
type appender interface {
	appendJSON(b []byte) []byte
}

// encoded is the JSON of a body, with a newline at its end.
func encoded(body any) ([]byte, error) {
	if a, ok := body.(appender); ok {
		return append(a.appendJSON(nil), '\n'), nil
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // URLs keep their &, as Twilio's have it
	err := e.Encode(body)
	return text.Bytes(), err
}

func (d document) appendJSON(b []byte) []byte {
	b = appendString(append(b, `{"address_sid":`...), string(d.AddressSID))
	b = append(b, `,"cc_emails":[`...)
	for i, email := range d.CCEmails {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, email)
	}
	b = d.DateCreated.appendJSON(append(b, `],"date_created":`...))
	b = d.DateUpdated.appendJSON(append(b, `,"date_updated":`...))
	b = appendString(append(b, `,"email":`...), d.Email)
	b = appendString(append(b, `,"links":{"dependent_hosted_number_orders":`...), d.Links.Dependents)
	b = appendString(append(b, `},"sid":`...), string(d.SID))
	b = appendString(append(b, `,"status":`...), string(d.Status))
	b = appendString(append(b, `,"url":`...), d.URL)
	return append(b, '}')
}

func (d date) appendJSON(b []byte) []byte {
	b = time.Time(d).UTC().AppendFormat(append(b, '"'), dateLayout)
	return append(b, '"')
}

func (m meta) appendJSON(b []byte) []byte {
	b = appendString(append(b, `{"first_page_url":`...), m.FirstPageURL)
	b = appendString(append(b, `,"key":`...), m.Key)
	b = appendOrNull(append(b, `,"next_page_url":`...), m.NextPageURL)
	b = strconv.AppendInt(append(b, `,"page":`...), int64(m.Page), 10)
	b = strconv.AppendInt(append(b, `,"page_size":`...), int64(m.PageSize), 10)
	b = appendOrNull(append(b, `,"previous_page_url":`...), m.PreviousPageURL)
	b = appendString(append(b, `,"url":`...), m.URL)
	return append(b, '}')
}

func (l documentList) appendJSON(b []byte) []byte {
	b = slices.Grow(b, 700*(len(l.Items)+1)) // about what it takes
	b = l.Meta.appendJSON(append(b, `{"meta":`...))
	b = append(b, `,"items":[`...)
	for i, d := range l.Items {
		if i > 0 {
			b = append(b, ',')
		}
		b = d.appendJSON(b)
	}
	return append(b, `]}`...)
}

func appendOrNull(b []byte, s *string) []byte {
	if s == nil {
		return append(b, `null`...)
	}
	return appendString(b, *s)
}

// appendString writes a string. encoding/json writes those that are not plain ASCII.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, _ := encoded(s) // a string always encodes
			return append(b, bytes.TrimSuffix(text, []byte{'\n'})...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
