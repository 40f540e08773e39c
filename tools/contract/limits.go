package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"countersign/events"
	"countersign/workflow"
)

// Patterns that say in JSON Schema what package events says in code.
const (
	onManyLines = `^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$`
	// addressShape is what every address that is taken has; more is asked of it.
	addressShape = `^[!-?A-~]{1,64}@[^@\s]+$`
	deliveryIDs  = `^[A-Z]{2}[0-9a-fA-F]{32}_` // it begins with a sid
	timerNames   = `^((expiry|freshness|waiting)(-[1-9][0-9]*)?|(reminder|parked)-[1-9][0-9]*)$`
)

// onOneLine is what workflow.NameFault finds no fault with: no character that is
// refused anywhere, and one that can be seen, if there is any.
var onOneLine = func() string {
	refused := class(func(r rune) bool { return workflow.NameFault("a"+string(r)) != "" })
	return "^(" + refused + "*" + class(func(r rune) bool { return !workflow.Visible(r) }) + refused + "*)?$"
}()

// class is a regular expression, of ECMA-262 and RE2 alike, for one character
// that is not among some of the Basic Multilingual Plane: YAML has no escapes for
// others that JSON has too. The two have no escape in common beyond \xff.
func class(among func(rune) bool) string {
	const lastBMP = 0xffff
	var b strings.Builder
	b.WriteString("[^")
	char := func(r rune) {
		if r <= 0xff {
			fmt.Fprintf(&b, `\x%02x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	for r := rune(0); r <= lastBMP; r++ {
		if !among(r) {
			continue
		}
		first := r
		for r < lastBMP && among(r+1) {
			r++
		}
		if char(first); r > first {
			b.WriteByte('-')
			char(r)
		}
	}
	return b.String() + "]"
}

// limits has what a property may hold, by its path or else by its name.
var limits = map[string]func(*jsonschema.Schema){
	"account_sid":                 sid("AC"),
	"address_sid":                 sid("AD"),
	"authorization_document_sid":  sid("PX"),
	"sid":                         sid("PX"),
	"webhook_sid":                 sid("WH"),
	"deliveries[]":                pattern(deliveryIDs),
	"outcomes[].delivery":         pattern(deliveryIDs),
	"hosted_number_orders[].sid":  sid("HR"),
	"hosted_number_order_sid":     sid("HR"),
	"hosted_number_order_sids":    func(s *jsonschema.Schema) { s.MaxItems, s.UniqueItems = new(uint64(events.MaxOrders)), true },
	"hosted_number_order_sids[]":  sid("HR"),
	"hosted_number_orders":        func(s *jsonschema.Schema) { s.MaxItems = new(uint64(events.MaxOrders)) },
	"email":                       email,
	"cc_emails":                   func(s *jsonschema.Schema) { s.MaxItems = new(uint64(events.MaxCC)) },
	"cc_emails[]":                 email,
	"contact_title":               text(events.MaxTitle, onOneLine),
	"contact_phone_number":        pattern(events.PhonePattern),
	"phone_number":                pattern(events.PhonePattern),
	"locale":                      text(events.MaxLocale, events.LocalePattern),
	"subscriber":                  text(events.MaxName, onOneLine),
	"current_carrier":             text(events.MaxName, onOneLine),
	"service_address.street":      text(events.MaxStreet, onOneLine),
	"service_address.city":        text(events.MaxPlace, onOneLine),
	"service_address.region":      text(events.MaxPlace, onOneLine),
	"service_address.postal_code": text(events.MaxPostal, onOneLine),
	"service_address.country":     pattern(events.CountryPattern),
	"reason":                      text(events.MaxReason, onManyLines),
	"failure_reason":              text(events.MaxReason, onManyLines),
	"canceled_by":                 func(s *jsonschema.Schema) { s.Enum = list(events.CanceledBy) },
	"letter_digest":               pattern(events.DigestPattern),
	"timer":                       pattern(timerNames),
	"round":                       atLeast(1),
	"sequence":                    atLeast(1),
	"crashes":                     atLeast(1),
	"version":                     atLeast(1),
	"claim":                       atLeast(0),
	"parking_limit_seconds":       atLeast(0),
	"remind_after_seconds":        upTo(events.MaxSeconds),
	"remind_every_seconds":        upTo(events.MaxSeconds),
	"remind_at_most":              upTo(events.MaxReminds),
	"expire_after_seconds":        upTo(events.MaxSeconds),
	"fresh_for_seconds":           upTo(events.MaxSeconds),
	"interval_seconds":            upTo(events.MaxSeconds),
	"per_day":                     upTo(events.MaxPerDay),
	"letter_requires[]":           func(s *jsonschema.Schema) { s.Enum = list(workflow.LetterParts) },
	"waits_for[]":                 func(s *jsonschema.Schema) { s.Enum = list(workflow.LetterParts) },
	"completed_order_sids[]":      sid("HR"),
	"subscriber_from":             sid("AD"),
	"service_address_from":        sid("AD"),
	"notify_cc[]":                 func(s *jsonschema.Schema) { s.Enum = list(workflow.Notices) },
	"outcomes[].retry_after_ms":   atLeast(0),
	"outcomes[].code":             atLeast(0),
	"code":                        func(s *jsonschema.Schema) { s.MinLength = new(uint64(1)) },
	"worker":                      func(s *jsonschema.Schema) { s.MinLength = new(uint64(1)) },
	"mails[]":                     pattern(mailPattern()),
	"outcomes[].mail":             pattern(mailPattern()),
	"mail":                        pattern(workflow.MailIDPattern),
	"friendly_name":               text(events.MaxLabel, onOneLine),
	"unique_name":                 text(events.MaxLabel, onOneLine),
	"incoming_phone_number_sid":   orNone("^PN" + events.SIDPattern + "$"),
	"sms_application_sid":         orNone("^AP" + events.SIDPattern + "$"),
	"verification_document_sid":   orNone("^RI" + events.SIDPattern + "$"),
	"sms_url":                     url,
	"sms_fallback_url":            url,
	"status_callback_url":         url,
	"sms_method":                  method,
	"sms_fallback_method":         method,
	"status_callback_method":      method,
	"verification_type":           func(s *jsonschema.Schema) { s.Enum = list(workflow.VerificationTypes) },
	"call_sid":                    pattern(events.CallPattern),
	"extension":                   text(events.MaxDialled, events.DialledPattern),
	"call_delay":                  upTo(events.MaxDelay),
	"customer_name":               text(events.MaxName, onOneLine),
	"street":                      text(events.MaxStreet, onOneLine),
	"street_secondary":            text(events.MaxStreet, onOneLine),
	"city":                        text(events.MaxPlace, onOneLine),
	"region":                      text(events.MaxPlace, onOneLine),
	"postal_code":                 text(events.MaxPostal, onOneLine),
	"iso_country":                 orNone(events.CountryPattern),
	"diagnostic":                  text(events.MaxReason, onManyLines),
}

func sid(letters string) func(*jsonschema.Schema) {
	return pattern("^" + letters + events.SIDPattern + "$")
}

func pattern(p string) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Pattern = p }
}

func text(limit int, p string) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.MaxLength, s.Pattern = new(uint64(limit)), p }
}

// orNone is a pattern, or "" for no value.
func orNone(p string) func(*jsonschema.Schema) { return pattern("^$|" + p) }

func url(s *jsonschema.Schema) { text(events.MaxURL, "^$|"+events.URLPattern)(s) }

func method(s *jsonschema.Schema) { s.Enum = list(append([]string{""}, events.Methods...)) }

func atLeast(n int) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Minimum = json.Number(strconv.Itoa(n)) }
}

func upTo(n int) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Minimum, s.Maximum = "0", json.Number(strconv.Itoa(n)) }
}

func email(s *jsonschema.Schema) {
	s.Format, s.Pattern, s.MaxLength = "idn-email", addressShape, new(uint64(events.MaxAddress))
}

func mailPattern() string {
	kinds := make([]string, len(workflow.MailKinds))
	for i, k := range workflow.MailKinds {
		kinds[i] = string(k)
	}
	return fmt.Sprintf(`^PX%s\.[0-9]+\.(%s)\.[0-9]+$`, events.SIDPattern, strings.Join(kinds, "|"))
}

// whole puts the rules about more than one property on a body's schema.
func whole(b workflow.Body, s *jsonschema.Schema) {
	switch b.(type) {
	case workflow.Created:
		s.AnyOf = []*jsonschema.Schema{notEmpty("hosted_number_order_sids"), notEmpty("hosted_number_orders")}
	case workflow.Updated:
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			s.AnyOf = append(s.AnyOf, &jsonschema.Schema{Required: []string{p.Key}})
			switch p.Key {
			case "hosted_number_order_sids", "hosted_number_orders":
				p.Value.MinItems = new(uint64(1))
			case "contact_phone_number", "locale":
				p.Value.Pattern = "^$|" + p.Value.Pattern
			}
		}
	case workflow.OrderCreated:
		mayBeEmpty(s)
	case workflow.OrderUpdated:
		mayBeEmpty(s)
		oneOfItsFields(s)
	case workflow.Verify:
		digits(s)
	case workflow.VerificationReported:
		digits(s)
		oneOfItsFields(s)
		result, _ := s.Properties.Get("result")
		result.Enum = list(workflow.VerificationResults)
	case workflow.AddressUpdated:
		oneOfItsFields(s)
	case workflow.Bounced:
		status, _ := s.Properties.Get("status")
		status.Pattern = events.StatusPattern
		candidates, _ := s.Properties.Get("candidates")
		candidates.MaxItems = new(uint64(events.MaxCandidates))
		candidates.Items.Pattern = workflow.MailIDPattern
	case workflow.StatusChanged:
		canceled := jsonschema.NewProperties()
		canceled.Set("status", &jsonschema.Schema{Const: workflow.Canceled})
		s.If = &jsonschema.Schema{Required: []string{"canceled_by"}}
		s.Then = &jsonschema.Schema{Properties: canceled}
	}
}

// mayBeEmpty lets "" stand for no value in an order.
func mayBeEmpty(s *jsonschema.Schema) {
	for _, name := range []string{"phone_number", "contact_phone_number", "address_sid", "email"} {
		p, _ := s.Properties.Get(name)
		p.Pattern = "^$|" + p.Pattern
	}
	email, _ := s.Properties.Get("email")
	email.Format = "" // "" is no address
}

// digits says what a code of verification is.
func digits(s *jsonschema.Schema) {
	code, _ := s.Properties.Get("code")
	code.Pattern = events.CodePattern
}

// oneOfItsFields asks for at least one of a body's fields.
func oneOfItsFields(s *jsonschema.Schema) {
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		s.AnyOf = append(s.AnyOf, &jsonschema.Schema{Required: []string{p.Key}})
	}
}

func notEmpty(list string) *jsonschema.Schema {
	p := jsonschema.NewProperties()
	p.Set(list, &jsonschema.Schema{MinItems: new(uint64(1))})
	return &jsonschema.Schema{Required: []string{list}, Properties: p}
}
