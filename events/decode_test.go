package events_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/events"
	"countersign/workflow"
)

const (
	ac   = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	px   = "PXaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hr1  = "HRaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hr2  = "HRbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	wh   = "WHaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	ad   = "ADaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	mine = events.Prefix + ac + "." + px + "."
)

// subjects has a subject for each type, by the type's last word.
var subjects = map[string]string{
	workflow.TypeCreated:            mine + "created",
	workflow.TypeUpdated:            mine + "updated",
	workflow.TypeStatusChanged:      mine + "status",
	workflow.TypeOrderStatusChanged: mine + "order." + hr1 + ".status",
	workflow.TypeOrderCreated:       events.Prefix + ac + "._.order." + hr1 + ".created",
	workflow.TypeOrderUpdated:       events.Prefix + ac + "._.order." + hr1 + ".updated",
	workflow.TypeOrderDeleted:       events.Prefix + ac + "._.order." + hr1 + ".deleted",
	workflow.TypeVerify:             events.Prefix + ac + "._.order." + hr1 + ".verify",
	workflow.TypeVerified:           events.Prefix + ac + "._.order." + hr1 + ".verified",
	workflow.TypeVerification:       events.Prefix + ac + "._.order." + hr1 + ".verification.7",
	workflow.TypeAddressCreated:     events.Prefix + ac + "._.address." + ad + ".created",
	workflow.TypeAddressUpdated:     events.Prefix + ac + "._.address." + ad + ".updated",
	workflow.TypeAddressDeleted:     events.Prefix + ac + "._.address." + ad + ".deleted",
	workflow.TypeRegister:           mine + "order." + hr1 + ".register",
	workflow.TypeBecame:             mine + "became.signed.2",
	workflow.TypeRefused:            mine + "refused.7",
	workflow.TypeTimerDue:           mine + "due.reminder-2.3",
	workflow.TypeResend:             mine + "resend",
	workflow.TypeBounced:            mine + "bounced",
	workflow.TypeErased:             mine + "erased",
	workflow.TypeLetterStale:        mine + "stale.2",
	workflow.TypeIncomplete:         mine + "incomplete.2",
	workflow.TypeMailClaimed:        events.Prefix + "_.mail.claimed",
	workflow.TypeMailSettled:        events.Prefix + "_.mail.settled",
	workflow.TypeRulesActivated:     events.Prefix + "_.rules.activated",
	workflow.TypeDiscarded:          mine + "discarded.7",
	workflow.TypeQuarantined:        events.Prefix + "_.quarantined.7",

	workflow.TypeWebhookSet:      events.Prefix + ac + "._.webhook." + wh + ".set",
	workflow.TypeWebhookClaimed:  events.Prefix + "_.webhook.claimed",
	workflow.TypeWebhookSettled:  events.Prefix + "_.webhook.settled",
	workflow.TypeWebhookRedriven: events.Prefix + "_.webhook.redriven",
}

// TestDecode_EveryKindHasReader: a kind that has a row in workflow and no reader
// here would make Decode panic.
func TestDecode_EveryKindHasReader(t *testing.T) {
	for _, k := range workflow.Kinds() {
		if subjects[k.Type] == "" {
			t.Errorf("%s has no subject in this test", k.Type)
			continue
		}
		e := events.Decode(message(k.Type, `{"round":"one"}`))
		if b, ok := e.Body.(workflow.Invalid); ok && b.Field == "subject" {
			t.Errorf("%s on %s: %s", k.Type, e.Subject, b.Message)
		}
	}
}

// message makes a message of the type with the data.
func message(typ, data string) events.Message {
	source := events.Source
	if workflow.KindOf(typ).Upstream() {
		source = "/orders"
	}
	return events.Message{
		Sequence: 7, Time: time.Unix(1, 0).UTC(), Subject: subjects[typ],
		Data: fmt.Appendf(nil, `{"specversion":"1.0","id":"e1","source":%q,"type":%q,"data":%s}`, source, typ, data),
	}
}

// content is a created event's data with fields put in place of its own.
func content(fields ...string) string {
	all := map[string]string{"address_sid": `"` + ad + `"`, "email": `"owner@example.com"`, "hosted_number_order_sids": `["` + hr1 + `"]`}
	for i := 0; i < len(fields); i += 2 {
		all[fields[i]] = fields[i+1]
	}
	var b []string
	for name, v := range all {
		if v != "" {
			b = append(b, `"`+name+`":`+v)
		}
	}
	return "{" + strings.Join(b, ",") + "}"
}

// list is a JSON list of n items.
func list(n int, item func(i int) string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = item(i)
	}
	return "[" + strings.Join(items, ",") + "]"
}

func orderSID(i int) string { return fmt.Sprintf(`"HR%032x"`, i) }

func orderRef(i int) string { return fmt.Sprintf(`{"sid":"HR%032x"}`, i+1000) }

// faults has a row for each rule about the data of an event. A schema marks
// the rules that the JSON Schemas state too.
var faults = []struct {
	name, typ, data string
	field, message  string
	code            workflow.Code
	schema          bool
}{
	{"not an object", workflow.TypeCreated, `[1]`, "data", "want an object, got a list", "", true},
	{"data is null", workflow.TypeCreated, `null`, "data", "missing", "", true},
	{"no address", workflow.TypeCreated, content("address_sid", ""), "data.address_sid", "missing", "", true},
	{"no e-mail", workflow.TypeCreated, content("email", ""), "data.email", "missing", "", true},
	{"e-mail is null", workflow.TypeCreated, content("email", "null"), "data.email", "missing", "", true},
	{"no orders", workflow.TypeCreated, content("hosted_number_order_sids", ""), "data.hosted_number_order_sids", "missing: a document authorizes at least one order", "", true},
	{"empty orders", workflow.TypeCreated, content("hosted_number_order_sids", "[]", "hosted_number_orders", "[]"), "data.hosted_number_order_sids", "missing: a document authorizes at least one order", "", true},
	{"e-mail of another kind", workflow.TypeCreated, content("email", "7"), "data.email", "want a string, got a number", "", true},
	{"hold of another kind", workflow.TypeCreated, content("hold", `"yes"`), "data.hold", "want a boolean, got a string", "", true},
	{"cc of another kind", workflow.TypeCreated, content("cc_emails", `"a@example.com"`), "data.cc_emails", "want a list, got a string", "", true},
	{"cc item of another kind", workflow.TypeCreated, content("cc_emails", `["a@example.com",true]`), "data.cc_emails[1]", "want a string, got a boolean", "", true},
	{"cc item null", workflow.TypeCreated, content("cc_emails", `[null]`), "data.cc_emails[0]", "want a string, got null; leave it out instead", "", true},
	{"order of another kind", workflow.TypeCreated, content("hosted_number_orders", `["`+hr2+`"]`), "data.hosted_number_orders[0]", "want an object, got a string", "", true},
	{"order without sid", workflow.TypeCreated, content("hosted_number_orders", `[{"phone_number":"+14155550100"}]`), "data.hosted_number_orders[0].sid", "missing", "", true},
	{"address sid of an order", workflow.TypeCreated, content("address_sid", `"`+hr1+`"`), "data.address_sid", `must be AD and 32 hex digits, got "` + hr1 + `"`, "", true},
	{"order sid too short", workflow.TypeCreated, content("hosted_number_order_sids", `["`+hr1+`","HR12"]`), "data.hosted_number_order_sids[1]", `must be HR and 32 hex digits, got "HR12"`, "", true},
	{"order sid not hex", workflow.TypeCreated, content("hosted_number_order_sids", `["`+hr1[:33]+`g"]`), "data.hosted_number_order_sids[0]", `must be HR and 32 hex digits, got "` + hr1[:33] + `g"`, "", true},
	{"order twice", workflow.TypeCreated, content("hosted_number_order_sids", `["`+hr1+`","`+hr2+`","`+hr1+`"]`), "data.hosted_number_order_sids[2]", hr1 + " is in the list already", "", true},
	{"order reference twice", workflow.TypeCreated, content("hosted_number_orders", `[{"sid":"`+hr1+`"},{"sid":"`+hr1+`","phone_number":"+14155550100"}]`), "data.hosted_number_orders[1]", hr1 + " is in the list already", "", false},
	{"too many orders", workflow.TypeCreated, content("hosted_number_order_sids", list(1001, orderSID)), "data.hosted_number_order_sids", "more than 1000 orders", workflow.CodeTooLarge, true},
	{"too many order references", workflow.TypeCreated, content("hosted_number_orders", list(1001, orderRef)), "data.hosted_number_orders", "more than 1000 orders", workflow.CodeTooLarge, true},
	{"too many orders in all", workflow.TypeCreated, content("hosted_number_order_sids", list(501, orderSID), "hosted_number_orders", list(500, orderRef)), "data.hosted_number_orders", "1001 orders with those of hosted_number_order_sids are more than 1000", workflow.CodeTooLarge, false},
	{"too many cc", workflow.TypeCreated, content("cc_emails", list(51, func(i int) string { return fmt.Sprintf(`"a%d@example.com"`, i) })), "data.cc_emails", "more than 50 addresses", workflow.CodeTooLarge, true},
	{"title too long", workflow.TypeCreated, content("contact_title", `"`+strings.Repeat("é", 257)+`"`), "data.contact_title", "257 characters are more than 256", "", true},
	{"title of two lines", workflow.TypeCreated, content("contact_title", `"a\nb"`), "data.contact_title", `has a control character: "a\nb"`, "", true},
	{"title that nobody can see", workflow.TypeCreated, content("contact_title", `"\u3164\u200b"`), "data.contact_title", `has no visible character: "\u3164\u200b"`, "", true},
	{"title of a space", workflow.TypeUpdated, `{"contact_title":" "}`, "data.contact_title", `has no visible character: " "`, "", true},
	{"title that turns the direction", workflow.TypeCreated, content("contact_title", `"Owner\u202e"`), "data.contact_title", `has a character that changes the direction of text: "Owner\u202e"`, "", true},
	{"title with a line separator", workflow.TypeCreated, content("contact_title", `"a\u2028b"`), "data.contact_title", `has a control character: "a\u2028b"`, "", true},
	{"subscriber that nobody can see", workflow.TypeCreated, content("subscriber", `"\u2800"`), "data.subscriber", `has no visible character: "\u2800"`, "", true},
	{"subscriber of tags", workflow.TypeCreated, content("subscriber", `"\udb40\udc41"`), "data.subscriber", `has no visible character: "\U000e0041"`, "", false},
	{"street that nobody can see", workflow.TypeCreated, content("service_address", `{"street":"\u00ad"}`), "data.service_address.street", `has no visible character: "\u00ad"`, "", true},
	{"city that turns the direction", workflow.TypeCreated, content("service_address", `{"city":"\u2067x"}`), "data.service_address.city", `has a character that changes the direction of text: "\u2067x"`, "", true},
	{"carrier that nobody can see", workflow.TypeCreated, content("hosted_number_orders", `[{"sid":"`+hr2+`","current_carrier":"\u115f"}]`), "data.hosted_number_orders[0].current_carrier", `has no visible character: "\u115f"`, "", true},
	{"phone without a plus", workflow.TypeCreated, content("contact_phone_number", `"4155550100"`), "data.contact_phone_number", `must be a phone number like +14155550100, got "4155550100"`, "", true},
	{"phone too short", workflow.TypeCreated, content("contact_phone_number", `"+123456"`), "data.contact_phone_number", `must be a phone number like +14155550100, got "+123456"`, "", true},
	{"phone too long", workflow.TypeCreated, content("contact_phone_number", `"+1234567890123456"`), "data.contact_phone_number", `must be a phone number like +14155550100, got "+1234567890123456"`, "", true},
	{"phone with an extension", workflow.TypeCreated, content("contact_phone_number", `"+14155550100 ext 5"`), "data.contact_phone_number", `must be a phone number like +14155550100, got "+14155550100 ext 5"`, "", true},
	{"phone of an order", workflow.TypeCreated, content("hosted_number_orders", `[{"sid":"`+hr2+`","phone_number":"555"}]`), "data.hosted_number_orders[0].phone_number", `must be a phone number like +14155550100, got "555"`, "", true},
	{"locale with an underscore", workflow.TypeCreated, content("locale", `"es_MX"`), "data.locale", `must be a language tag like en or es-MX, got "es_MX"`, "", true},
	{"locale too long", workflow.TypeCreated, content("locale", `"en`+strings.Repeat("-abcdefgh", 4)+`"`), "data.locale", `must be a language tag like en or es-MX, got "en` + strings.Repeat("-abcdefgh", 4) + `"`, "", true},
	{"locale of another kind", workflow.TypeCreated, content("locale", `["en"]`), "data.locale", "want a string, got a list", "", true},
	{"subscriber too long", workflow.TypeCreated, content("subscriber", `"`+strings.Repeat("é", 257)+`"`), "data.subscriber", "257 characters are more than 256", "", true},
	{"subscriber of two lines", workflow.TypeCreated, content("subscriber", `"a\nb"`), "data.subscriber", `has a control character: "a\nb"`, "", true},
	{"service address of another kind", workflow.TypeCreated, content("service_address", `"1 Main Street"`), "data.service_address", "want an object, got a string", "", true},
	{"street too long", workflow.TypeCreated, content("service_address", `{"street":"`+strings.Repeat("x", 257)+`"}`), "data.service_address.street", "257 characters are more than 256", "", true},
	{"city too long", workflow.TypeCreated, content("service_address", `{"city":"`+strings.Repeat("x", 129)+`"}`), "data.service_address.city", "129 characters are more than 128", "", true},
	{"region of two lines", workflow.TypeCreated, content("service_address", `{"region":"a\nb"}`), "data.service_address.region", `has a control character: "a\nb"`, "", true},
	{"postal code too long", workflow.TypeCreated, content("service_address", `{"postal_code":"`+strings.Repeat("1", 33)+`"}`), "data.service_address.postal_code", "33 characters are more than 32", "", true},
	{"postal code of another kind", workflow.TypeCreated, content("service_address", `{"postal_code":94105}`), "data.service_address.postal_code", "want a string, got a number", "", true},
	{"country by name", workflow.TypeCreated, content("service_address", `{"country":"Mexico"}`), "data.service_address.country", `must be a country's two capital letters (ISO 3166-1), like US, got "Mexico"`, "", true},
	{"carrier too long", workflow.TypeCreated, content("hosted_number_orders", `[{"sid":"`+hr2+`","current_carrier":"`+strings.Repeat("x", 257)+`"}]`), "data.hosted_number_orders[0].current_carrier", "257 characters are more than 256", "", true},
	{"update to a locale that is none", workflow.TypeUpdated, `{"locale":"e"}`, "data.locale", `must be a language tag like en or es-MX, got "e"`, "", true},
	{"update of an address to null", workflow.TypeUpdated, `{"service_address":null}`, "data.service_address", "want an object, got null; leave it out instead", "", true},
	{"name given twice", workflow.TypeCreated, content("email", `"a@example.com","email":"b@example.com"`), "data.email", "given twice", workflow.CodeUnreadable, false},
	{"name given twice in an order", workflow.TypeCreated, content("hosted_number_orders", `[{"sid":"`+hr1+`","s\u0069d":"`+hr2+`"}]`), "data.hosted_number_orders[0].sid", "given twice", workflow.CodeUnreadable, false},

	{"timers of another kind", workflow.TypeCreated, content("timers", `"soon"`), "data.timers", "want an object, got a string", "", true},
	{"timer of another kind", workflow.TypeCreated, content("timers", `{"expire_after_seconds":"30d"}`), "data.timers.expire_after_seconds", `want a whole number of seconds from 0 to 315360000, got "\"30d\""`, "", true},
	{"timer below 0", workflow.TypeCreated, content("timers", `{"remind_after_seconds":-1}`), "data.timers.remind_after_seconds", `want a whole number of seconds from 0 to 315360000, got "-1"`, "", true},
	{"timer of a fraction", workflow.TypeCreated, content("timers", `{"fresh_for_seconds":1.5}`), "data.timers.fresh_for_seconds", `want a whole number of seconds from 0 to 315360000, got "1.5"`, "", true},
	{"timer too long", workflow.TypeUpdated, `{"timers":{"remind_every_seconds":315360001}}`, "data.timers.remind_every_seconds", `want a whole number of seconds from 0 to 315360000, got "315360001"`, "", true},
	{"too many reminders", workflow.TypeUpdated, `{"timers":{"remind_at_most":101}}`, "data.timers.remind_at_most", `want a whole number of reminders from 0 to 100, got "101"`, "", true},
	{"update of timers to null", workflow.TypeUpdated, `{"timers":null}`, "data.timers", "want an object, got null; leave it out instead", "", true},

	{"nothing to update", workflow.TypeUpdated, `{"customer":"x"}`, "data", "has no field that could be updated", "", true},
	{"update to null", workflow.TypeUpdated, `{"email":null}`, "data.email", "want a string, got null; leave it out instead", "", true},
	{"update of a list to null", workflow.TypeUpdated, `{"cc_emails":null}`, "data.cc_emails", "want a list, got null; leave it out instead", "", true},
	{"update to no address", workflow.TypeUpdated, `{"email":""}`, "data.email", `must be an email address, got ""`, "", true},
	{"update to no orders", workflow.TypeUpdated, `{"hosted_number_order_sids":[]}`, "data.hosted_number_order_sids", "empty: a document authorizes at least one order", "", true},
	{"update to no order references", workflow.TypeUpdated, `{"hosted_number_orders":[]}`, "data.hosted_number_orders", "empty: a document authorizes at least one order", "", true},
	{"update to a wrong address sid", workflow.TypeUpdated, `{"address_sid":"AD1"}`, "data.address_sid", `must be AD and 32 hex digits, got "AD1"`, "", true},
	{"update to too many orders", workflow.TypeUpdated, `{"hosted_number_order_sids":` + list(600, orderSID) + `,"hosted_number_orders":` + list(500, orderRef) + `}`, "data.hosted_number_orders", "1100 orders with those of hosted_number_order_sids are more than 1000", workflow.CodeTooLarge, false},

	{"no status", workflow.TypeStatusChanged, `{}`, "data.status", "missing", "", true},
	{"unknown status", workflow.TypeStatusChanged, `{"status":"done"}`, "data.status", `want one of ["opened" "signing" "signed" "canceled" "failed"], got "done"`, "", true},
	{"unknown canceler", workflow.TypeStatusChanged, `{"status":"canceled","canceled_by":"me"}`, "data.canceled_by", `want one of ["signer" "account"], got "me"`, "", true},
	{"canceler of a signed document", workflow.TypeStatusChanged, `{"canceled_by":"signer","status":"signed"}`, "data.canceled_by", `goes with the status "canceled" only, got "signed"`, "", true},
	{"reason too long", workflow.TypeStatusChanged, `{"status":"failed","reason":"` + strings.Repeat("x", 1001) + `"}`, "data.reason", "1001 characters are more than 1000", "", true},
	{"reason with NUL", workflow.TypeStatusChanged, `{"status":"failed","reason":"a\u0000"}`, "data.reason", `has a control character: "a\x00"`, "", true},
	{"evidence of another kind", workflow.TypeStatusChanged, `{"status":"signed","evidence":[]}`, "data.evidence", "want an object, got a list", "", true},
	{"evidence nested deep", workflow.TypeStatusChanged, `{"status":"signed","evidence":{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}}`, "data.evidence", "nested more than 32 levels deep", workflow.CodeTooLarge, false},
	{"round that is none", workflow.TypeStatusChanged, `{"status":"signed","round":0}`, "data.round", `must be the number of a round, 1 or more, got "0"`, "", true},
	{"digest of another kind", workflow.TypeStatusChanged, `{"status":"signed","letter_digest":"sha256:ABC"}`, "data.letter_digest", `must be sha256: and 64 hex digits, got "sha256:ABC"`, "", true},

	{"no order status", workflow.TypeOrderStatusChanged, `{"phone_number":"+14155550100"}`, "data.status", "missing", "", true},
	{"unknown order status", workflow.TypeOrderStatusChanged, `{"status":"signed"}`, "data.status", `want one of ["twilio-processing" "received" "pending-verification" "verified" "pending-loa" "carrier-processing" "testing" "completed" "failed" "action-required"], got "signed"`, "", true},
	{"order phone", workflow.TypeOrderStatusChanged, `{"status":"failed","phone_number":"x"}`, "data.phone_number", `must be a phone number like +14155550100, got "x"`, "", true},
	{"letter too old of another kind", workflow.TypeOrderStatusChanged, `{"status":"failed","letter_too_old":1}`, "data.letter_too_old", "want a boolean, got a number", "", true},
	{"letter too old for what is completed", workflow.TypeOrderStatusChanged, `{"status":"completed","letter_too_old":true}`, "data.letter_too_old", `does not go with the status "completed"`, "", false},
	{"failure reason too long", workflow.TypeOrderStatusChanged, `{"status":"failed","failure_reason":"` + strings.Repeat("x", 1001) + `"}`, "data.failure_reason", "1001 characters are more than 1000", "", true},

	{"resend of no round", workflow.TypeResend, `{"round":"1"}`, "data.round", `must be the number of a round, 1 or more, got "\"1\""`, "", true},
	{"bounce of nothing", workflow.TypeBounced, `{"action":"failed","status":"5.1.1"}`, "data.mail", "missing", "", true},
	{"bounce of no mail of ours", workflow.TypeBounced, `{"mail":"<x@example.com>","action":"failed","status":"5.1.1"}`, "data.mail", `must be the id of an email, got "<x@example.com>"`, "", true},
	{"bounce of another document's mail", workflow.TypeBounced, `{"mail":"PXbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.1.sent.2","action":"failed","status":"5.1.1"}`, "data.mail", "does not agree with the subject", "", false},
	{"bounce without an action", workflow.TypeBounced, `{"mail":"` + px + `.1.sent.2","status":"5.1.1"}`, "data.action", "missing", "", true},
	{"candidate of another document", workflow.TypeBounced, `{"mail":"` + px + `.1.sent.2","action":"failed","status":"5.1.1","candidates":["PXbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.1.sent.2"]}`, "data.candidates[0]", `want the id of an email of the subject's document, got "PXbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.1.sent.2"`, "", false},
	{"candidate that is no email", workflow.TypeBounced, `{"mail":"` + px + `.1.sent.2","action":"failed","status":"5.1.1","candidates":["x"]}`, "data.candidates[0]", `want the id of an email of the subject's document, got "x"`, "", true},
	{"too many candidates", workflow.TypeBounced, `{"mail":"` + px + `.1.sent.2","action":"failed","status":"5.1.1","candidates":` + list(9, func(i int) string { return fmt.Sprintf(`"%s.1.sent.%d"`, px, i) }) + `}`, "data.candidates", "more than 8 emails", workflow.CodeTooLarge, true},
	{"unknown action", workflow.TypeBounced, `{"mail":"` + px + `.1.sent.2","action":"lost","status":"5.1.1"}`, "data.action", `want one of ["failed" "delayed" "delivered" "relayed" "expanded" "replied"], got "lost"`, "", true},
	{"bounce without a status", workflow.TypeBounced, `{"mail":"` + px + `.1.sent.2","action":"failed"}`, "data.status", `must be a status code such as 5.1.1, got ""`, "", true},
	{"reply code for a status", workflow.TypeBounced, `{"mail":"` + px + `.1.sent.2","action":"failed","status":"550"}`, "data.status", `must be a status code such as 5.1.1, got "550"`, "", true},
	{"diagnostic too long", workflow.TypeBounced, `{"mail":"` + px + `.1.sent.2","action":"failed","status":"5.1.1","diagnostic":"` + strings.Repeat("x", 1001) + `"}`, "data.diagnostic", "1001 characters are more than 1000", "", true},

	{"became another status", workflow.TypeBecame, `{"sid":"` + px + `","account_sid":"` + ac + `","status":"failed","round":2}`, "data.status", "does not agree with the subject", "", false},
	{"became another round", workflow.TypeBecame, `{"sid":"` + px + `","account_sid":"` + ac + `","status":"signed","round":1}`, "data.round", "does not agree with the subject", "", false},
	{"became another document", workflow.TypeBecame, `{"sid":"PX1","account_sid":"` + ac + `","status":"signed","round":2}`, "data.sid", "does not agree with the subject", "", false},
	{"became another account", workflow.TypeBecame, `{"sid":"` + px + `","status":"signed","round":2}`, "data.account_sid", "does not agree with the subject", "", false},
	{"register another order", workflow.TypeRegister, `{"hosted_number_order_sid":"` + hr2 + `"}`, "data.hosted_number_order_sid", "does not agree with the subject", "", false},
	{"register another document", workflow.TypeRegister, `{"hosted_number_order_sid":"` + hr1 + `","authorization_document_sid":"PX1"}`, "data.authorization_document_sid", "does not agree with the subject", "", false},
	{"register another account", workflow.TypeRegister, `{"hosted_number_order_sid":"` + hr1 + `","authorization_document_sid":"` + px + `"}`, "data.account_sid", "does not agree with the subject", "", false},
	{"refused another sequence", workflow.TypeRefused, `{"sequence":8,"code":"invalid"}`, "data.sequence", "does not agree with the subject", "", false},
	{"refused without a code", workflow.TypeRefused, `{"sequence":7}`, "data.code", "missing", "", true},
	{"another timer", workflow.TypeTimerDue, `{"timer":"expiry","round":3}`, "data.timer", "does not agree with the subject", "", false},
	{"timer of another round", workflow.TypeTimerDue, `{"timer":"reminder-2","round":2}`, "data.round", "does not agree with the subject", "", false},
	{"round of another kind", workflow.TypeTimerDue, `{"timer":"reminder-2","round":"3"}`, "data.round", "want int, got string", "", true},
	{"time of another kind", workflow.TypeTimerDue, `{"timer":"reminder-2","round":3,"due_at":"soon"}`, "data", `parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"`, "", true},
	{"claim without a worker", workflow.TypeMailClaimed, `{"mails":[]}`, "data.worker", "missing", "", true},
	{"claim of no mail of ours", workflow.TypeMailClaimed, `{"worker":"w","mails":["x"]}`, "data.mails", `must be the id of an email, got "x"`, "", true},
	{"settled without a worker", workflow.TypeMailSettled, `{"claim":1,"outcomes":[]}`, "data.worker", "missing", "", true},
	{"unknown outcome", workflow.TypeMailSettled, `{"worker":"w","claim":1,"outcomes":[{"mail":"` + px + `.1.sent.2","outcome":"lost"}]}`, "data.outcomes", `want one of ["accepted" "rejected" "deferred" "unknown" "held" "released"], got "lost"`, "", true},
	{"outcome of no mail of ours", workflow.TypeMailSettled, `{"worker":"w","claim":1,"outcomes":[{"mail":"` + hr1 + `.1.sent.2","outcome":"held"}]}`, "data.outcomes", `must be the id of an email, got "` + hr1 + `.1.sent.2"`, "", true},
	{"erased another document", workflow.TypeErased, `{"authorization_document_sid":"PX1"}`, "data.authorization_document_sid", "does not agree with the subject", "", false},
	{"erased another account's", workflow.TypeErased, `{"authorization_document_sid":"` + px + `","account_sid":"AC1"}`, "data.account_sid", "does not agree with the subject", "", false},
	{"another webhook", workflow.TypeWebhookSet, `{"webhook_sid":"` + hr1 + `","account_sid":"` + ac + `","url":"https://h","status":"disabled"}`, "data.webhook_sid", "does not agree with the subject", "", true},
	{"a webhook of another account", workflow.TypeWebhookSet, `{"webhook_sid":"` + wh + `","account_sid":"` + hr1 + `","url":"https://h","status":"disabled"}`, "data.account_sid", "does not agree with the subject", "", true},
	{"a webhook of unknown status", workflow.TypeWebhookSet, `{"webhook_sid":"` + wh + `","account_sid":"` + ac + `","url":"https://h","status":"on"}`, "data.status", `want one of ["enabled" "disabled" "deleted"], got "on"`, "", true},
	{"a webhook without a URL", workflow.TypeWebhookSet, `{"webhook_sid":"` + wh + `","account_sid":"` + ac + `","status":"disabled"}`, "data.url", "missing", "", false},
	{"a webhook without a secret", workflow.TypeWebhookSet, `{"webhook_sid":"` + wh + `","account_sid":"` + ac + `","url":"https://h","status":"enabled"}`, "data.secret_versions", "missing", "", false},
	{"a claim of no delivery", workflow.TypeWebhookClaimed, `{"worker":"w","deliveries":["` + wh + `"]}`, "data.deliveries", `must be the id of a delivery, got "` + wh + `"`, "", true},
	{"unknown result of a delivery", workflow.TypeWebhookSettled, `{"worker":"w","claim":1,"outcomes":[{"delivery":"` + wh + `_x","result":"lost"}]}`, "data.outcomes", `want one of ["delivered" "failed" "released"], got "lost"`, "", true},
	{"no rules version", workflow.TypeRulesActivated, `{"version":0,"parking_limit_seconds":1}`, "data.version", "0 is no version", "", true},
	{"stale in another round", workflow.TypeLetterStale, `{"reason":"age","round":1,"date_signed":"2026-11-23T15:04:05Z","hosted_number_order_sids":[]}`, "data.round", "does not agree with the subject", "", false},
	{"stale without a reason", workflow.TypeLetterStale, `{"round":2,"date_signed":"2026-11-23T15:04:05Z","hosted_number_order_sids":[]}`, "data.reason", "missing", "", true},
	{"a notice of another status", workflow.TypeRulesActivated, `{"version":1,"parking_limit_seconds":1,"notify_cc":["signed"]}`, "data.notify_cc", `want some of ["canceled" "failed"], got "signed"`, "", true},
	{"a timer of the settings below 0", workflow.TypeRulesActivated, `{"version":1,"parking_limit_seconds":1,"timers":{"expire_after_seconds":-1}}`, "data.timers.expire_after_seconds", "want 0 to 315360000, got -1", "", true},
	{"too many reminders of the settings", workflow.TypeRulesActivated, `{"version":1,"parking_limit_seconds":1,"timers":{"remind_at_most":101}}`, "data.timers.remind_at_most", "want 0 to 100, got 101", "", true},
	{"an interval between mails below 0", workflow.TypeRulesActivated, `{"version":1,"parking_limit_seconds":1,"mail_limits":{"interval_seconds":-1}}`, "data.mail_limits.interval_seconds", "want 0 to 315360000, got -1", "", true},
	{"a day of mails below 0", workflow.TypeRulesActivated, `{"version":1,"parking_limit_seconds":1,"mail_limits":{"per_day":-1}}`, "data.mail_limits.per_day", "want 0 to 1000, got -1", "", true},
	{"parking limit below 0", workflow.TypeRulesActivated, `{"version":1,"parking_limit_seconds":-1}`, "data.parking_limit_seconds", "-1 is below 0", "", true},
}

func TestDecode_NamesFaultyField(t *testing.T) {
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			code := tt.code
			if code == "" {
				code = workflow.CodeInvalid
			}
			e := events.Decode(message(tt.typ, tt.data))
			got, ok := e.Body.(workflow.Invalid)
			if !ok {
				t.Fatalf("decoded as %#v", e.Body)
			}
			want := workflow.Invalid{
				Problem: workflow.Problem{Code: code, Field: tt.field, Message: tt.field + ": " + tt.message},
				EventID: "e1", Origin: got.Origin, Foreign: got.Origin == events.Source,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	long := strings.Repeat("x", 60)
	for in, want := range map[string]string{
		"owner@example.com":                   "owner@example.com",
		"Owner+hosted@EXAMPLE.Com":            "Owner+hosted@example.com",
		"jose@exämple.com":                    "jose@xn--exmple-cua.com",
		"a@straße.de":                         "a@xn--strae-oqa.de",
		"a@localhost":                         "a@localhost",
		"a@mail.test":                         "a@mail.test",
		"o'hara@example.co.uk":                "o'hara@example.co.uk",
		"":                                    "",
		"Email":                               "",
		"a@example":                           "",
		"a@127.0.0.1":                         "",
		"a@[127.0.0.1]":                       "",
		"Owner <a@example.com>":               "",
		"<a@example.com>":                     "",
		"a@example.com (x)":                   "",
		"a@example.com, b@example.com":        "",
		" a@example.com":                      "a@example.com", // case b3
		" owner@example.com ":                 "owner@example.com",
		`\ta@example.com\r\n`:                 "a@example.com",
		"\u00a0a@example.com\u3000":           "a@example.com",
		" ":                                   "",
		`\"a b\"@example.com`:                 `"a b"@example.com`, // case c15
		`\"taro..yamada\"@docomo.example.com`: `"taro..yamada"@docomo.example.com`,
		`\".taro.\"@EXAMPLE.com`:              `".taro."@example.com`,
		`\"a@b\"@exämple.com`:                 `"a@b"@xn--exmple-cua.com`,
		`\"a\\\"b\"@example.com`:              `"a\"b"@example.com`,
		`\"taro\"@example.com`:                "taro@example.com", // one mailbox, one spelling
		`\"\"@example.com`:                    "",
		`\"josé\"@example.com`:                "",
		`\"a\" @example.com`:                  "",
		`\"a\u0000b\"@example.com`:            "",
		`\"a@example.com`:                     "",
		`\"` + long + `...\"@example.com`:     "",
		"josé@example.com":                    "",
		"a@exa mple.com":                      "",
		"a@-example.com":                      "",
		"a@ex_ample.com":                      "",
		"a@example..com":                      "",
		"a@example.com.":                      "",
		`a@example.com\r\nBcc: b@example.com`: "",
		long + "12345@example.com":            "",
		"a@" + long + "." + long + "." + long + "." + long + ".example.com": "",
	} {
		t.Run(in, func(t *testing.T) {
			e := events.Decode(message(workflow.TypeCreated, content("email", `"`+in+`"`)))
			switch b := e.Body.(type) {
			case workflow.Created:
				if b.Email != want {
					t.Errorf("got %q, want %q", b.Email, want)
				}
			case workflow.Invalid:
				if want != "" || b.Field != "data.email" {
					t.Error(b.Message)
				}
			}
		})
	}
}

func TestDecode_PhoneNumbersBecomeE164(t *testing.T) {
	for in, want := range map[string]string{
		"+14155550100":      "+14155550100",
		"+1 415-555.0100":   "+14155550100",
		"+49 151 1234 5678": "+4915112345678",
		"":                  "",
	} {
		e := events.Decode(message(workflow.TypeCreated, content("contact_phone_number", `"`+in+`"`)))
		b, ok := e.Body.(workflow.Created)
		if !ok || b.ContactPhoneNumber != want {
			t.Errorf("%q: got %#v, want %q", in, e.Body, want)
		}
	}
}

func TestDecode_AcceptsVariants(t *testing.T) {
	sids, refs := []workflow.SID{hr1}, []workflow.OrderRef{{SID: hr1, PhoneNumber: "+14155550100"}}
	for _, tt := range []struct {
		name, typ, data string
		want            workflow.Body
	}{
		{
			"an order in both lists", workflow.TypeCreated, content("hosted_number_orders", `[{"sid":"`+hr1+`","phone_number":"+1 415 555 0100"}]`),
			workflow.Created{AddressSID: ad, Email: "owner@example.com", HostedNumberOrderSIDs: sids, HostedNumberOrders: refs},
		},
		{
			"null for what is optional", workflow.TypeCreated, content("contact_title", "null", "cc_emails", "null", "hold", "null"),
			workflow.Created{AddressSID: ad, Email: "owner@example.com", HostedNumberOrderSIDs: sids},
		},
		{
			"fields it does not know", workflow.TypeCreated, content("customer", `{"a":[1,{"b":"]}"}],"a":null}`, "Email", "1"),
			workflow.Created{AddressSID: ad, Email: "owner@example.com", HostedNumberOrderSIDs: sids},
		},
		{
			"escapes in names and strings", workflow.TypeCreated, content(`contact_t\u0069tle`, `"\u00e9\ud83d\ude00\\"`),
			workflow.Created{AddressSID: ad, Email: "owner@example.com", HostedNumberOrderSIDs: sids, ContactTitle: "é😀\\"},
		},
		{
			"whose numbers they are", workflow.TypeCreated, content("locale", `"es-MX"`, "subscriber", `"Bayview Law"`, "service_address", `{"street":null,"city":"Oakland","country":"US","floor":3}`,
				"hosted_number_orders", `[{"sid":"`+hr1+`","current_carrier":"Pacific Voice"}]`),
			workflow.Created{
				AddressSID: ad, Email: "owner@example.com", HostedNumberOrderSIDs: sids, HostedNumberOrders: []workflow.OrderRef{{SID: hr1, CurrentCarrier: "Pacific Voice"}},
				Locale: "es-MX", Subscriber: "Bayview Law", ServiceAddress: workflow.ServiceAddress{City: "Oakland", Country: "US"},
			},
		},
		{"an update that clears whose numbers they are", workflow.TypeUpdated, `{"locale":"","subscriber":"","service_address":{}}`, workflow.Updated{Locale: new(""), Subscriber: new(""), ServiceAddress: new(workflow.ServiceAddress{})}},
		{"an update that clears", workflow.TypeUpdated, `{"cc_emails":[],"contact_title":"","contact_phone_number":""}`, workflow.Updated{CCEmails: new([]string{}), ContactTitle: new(""), ContactPhoneNumber: new("")}},
		{"evidence as it came", workflow.TypeStatusChanged, `{"status":"signed","evidence":{ "name": "A" }}`, workflow.StatusChanged{Status: workflow.Signed, Evidence: []byte(`{ "name": "A" }`)}},
		{"white space", workflow.TypeOrderStatusChanged, "\n{ \"status\" :\t\"failed\" , \"failure_reason\" : \"a\\nb\"\r\n}\n", workflow.OrderStatusChanged{Order: hr1, Status: workflow.OrderFailed, FailureReason: "a\nb"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, events.Decode(message(tt.typ, tt.data)).Body, equateBodies); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDecode_ChecksSubject(t *testing.T) {
	for _, tt := range []struct {
		subject, account, document string
		fits                       string // the type that belongs there, "" for none
		source                     string // of the event; empty for an upstream service's, or Countersign's
	}{
		{mine + "created", ac, px, workflow.TypeCreated, ""},
		{mine + "order." + hr1 + ".status", ac, px, workflow.TypeOrderStatusChanged, ""},
		{mine + "refused.7", ac, px, workflow.TypeRefused, ""},
		{events.Prefix + "_._.refused.7", "", "", workflow.TypeRefused, ""},
		{mine + "bounced", ac, px, workflow.TypeBounced, ""},
		{events.Prefix + "_." + px + ".bounced", "", px, workflow.TypeBounced, ""},
		{events.Prefix + "_._.bounced", "", "", "", ""},
		{events.Prefix + "_." + px + ".resend", "", px, "", ""},
		{mine + "created.x", ac, px, "", ""},
		{mine + "refused.07", ac, px, "", ""},
		{mine + "refused.0", ac, px, "", ""},
		{mine + "became.burnt.1", ac, px, "", ""},
		{mine + "became.signed.1.2", ac, px, "", ""},
		{mine + "due.lunch.1", ac, px, "", ""},
		{mine + "due.expiry-0.1", ac, px, "", ""},
		{mine + "due.reminder.1", ac, px, "", ""},
		{mine + "order.HR1.status", ac, px, "", ""},
		{mine + "order." + hr1 + ".burnt", ac, px, "", ""},
		{mine[:len(mine)-1], ac, px, "", ""},
		{events.Prefix + ac + ".PX1.created", ac, "", "", ""},
		{events.Prefix + ac + "._.created", ac, "", "", ""},
		{events.Prefix + "AC1." + px + ".created", "", px, "", ""},
		{events.Prefix + px + "." + ac + ".created", "", "", "", ""},
		{events.Prefix + "_._.created", "", "", "", ""},
		{events.Prefix + "_.mail.lost", "", "", "", ""},
		{"authdocs.v2." + ac + "." + px + ".created", "", "", "", ""},
		{mine + "by.page.status", ac, px, workflow.TypeStatusChanged, "/sign"},
		{mine + "by.api.status", ac, px, workflow.TypeStatusChanged, "/api"},
		{mine + "by.api.created", ac, px, workflow.TypeCreated, "/api"},
		{mine + "by.operator.resend", ac, px, workflow.TypeResend, "/operator"},
		{mine + "by.bounce.bounced", ac, px, workflow.TypeBounced, "/bounce"},
		{events.Prefix + "_." + px + ".by.bounce.bounced", "", px, workflow.TypeBounced, "/bounce"},
		{mine + "status", ac, px, "", "/sign"},
		{mine + "created", ac, px, "", "/api"},
		{mine + "resend", ac, px, "", "/operator"},
		{mine + "bounced", ac, px, "", "/bounce"},
		{mine + "by.page.status", ac, px, "", ""},
		{mine + "by.page.status", ac, px, "", "/api"},
		{mine + "by.page.status", ac, px, "", "countersign"},
		{mine + "by.page.created", ac, px, "", "/sign"},
		{mine + "by.bounce.status", ac, px, "", "/bounce"},
		{mine + "by.upstream.status", ac, px, "", ""},
		{mine + "by.countersign.status", ac, px, "", "countersign"},
		{mine + "by.page.refused.7", ac, px, "", "countersign"},
		{mine + "by.status", ac, px, "", "/sign"},
		{"", "", "", "", ""},
	} {
		t.Run(tt.subject+" "+tt.source, func(t *testing.T) {
			data := map[string]string{
				workflow.TypeCreated: content(), workflow.TypeOrderStatusChanged: `{"status":"failed"}`, workflow.TypeRefused: `{"sequence":7,"code":"invalid","message":""}`,
				workflow.TypeStatusChanged: `{"status":"signed"}`,
				workflow.TypeBounced:       `{"mail":"` + px + `.1.sent.2","action":"failed","status":"5.1.1"}`, workflow.TypeResend: `{}`,
			}
			fits := ""
			for typ, data := range data {
				m := message(typ, data)
				m.Subject = tt.subject
				if tt.fits == workflow.TypeRefused {
					m.Data = bytes.Replace(m.Data, []byte(`"e1"`), []byte(strconv.Quote(strings.TrimPrefix(tt.subject, events.Prefix))), 1)
				}
				if tt.source != "" {
					m.Data = bytes.Replace(m.Data, []byte(`"/orders"`), []byte(strconv.Quote(tt.source)), 1)
				}
				e := events.Decode(m)
				if string(e.Account) != tt.account || string(e.Document) != tt.document || e.Subject != tt.subject {
					t.Errorf("got %q and %q, want %q and %q", e.Account, e.Document, tt.account, tt.document)
				}
				if _, invalid := e.Body.(workflow.Invalid); !invalid {
					fits = typ
				}
			}
			if fits != tt.fits {
				t.Errorf("fits %q, want %q", fits, tt.fits)
			}
		})
	}
}
