package web

import (
	"net/http"
	"time"

	"countersign/internal/phone"
	"countersign/workflow"
)

// view is what a page says.
type view struct {
	Code    int    // HTTP status
	Mood    string // class of the page: "wait", "good", "over", or none
	Title   string
	Status  string // of the letter, in a word or two; none where the page is not about one
	Lead    string
	Notice  string // stands out
	Numbers []number
	Facts   []fact
}

type number struct{ Text, Order string }

type fact struct{ Name, Value string }

// The pages that say the same to everybody.
var (
	front = view{
		Code: http.StatusOK, Title: "Letters of authorization",
		Lead: "Letters of authorization for phone numbers are shown here to the people who are asked to sign them. To open yours, use the link in the mail that you received.",
	}
	nowhere = view{
		Code: http.StatusNotFound, Title: "There is no such page",
		Lead: "To open a letter of authorization, use the link in the mail that you received.",
	}
	unknown = view{
		Code: http.StatusNotFound, Title: "This link is not valid",
		Lead: "Part of it may be missing. Please open it from the mail once more, or copy all of it into the address bar.",
	}
	replaced = view{
		Code: http.StatusGone, Mood: "over", Title: "This link has been replaced",
		Lead: "The letter was taken back to be changed after this link was sent. Please use the link in the newest mail about it. If there is none yet, you have nothing to do.",
	}
	unavailable = view{
		Code: http.StatusServiceUnavailable, Title: "Please try again in a moment",
		Lead: "The letter cannot be shown just now. Your link stays as it is.",
	}
)

func expired(at time.Time) view {
	return view{
		Code: http.StatusGone, Mood: "over", Title: "This link has expired",
		Lead: "It could be used until " + moment(at) + ". If the letter still has to be signed, reply to the mail and ask for a new link.",
	}
}

func ready(doc workflow.Document, expires time.Time) view {
	return view{
		Code: http.StatusOK, Mood: "wait", Title: "Letter of authorization",
		Status:  "Waiting for your signature",
		Lead:    "You are asked to sign this letter. With it you authorize the hosting of the phone numbers below by the company that wrote to you.",
		Notice:  "Signing on this page is not available yet. Opening it has changed nothing. If you have a question, reply to the mail that brought you here.",
		Numbers: numbers(doc),
		Facts:   append(facts(doc), fact{"Link good until", moment(expires)}),
	}
}

// ended says how the letter ended. The reason is left out: it is in the words
// of an upstream service or of a mail server, for the account and not for the signer.
func ended(doc workflow.Document) view {
	v := view{Code: http.StatusOK, Mood: "over", Title: "Letter of authorization", Numbers: numbers(doc), Facts: facts(doc)}
	switch {
	case doc.Status == workflow.Signed:
		v.Mood, v.Status = "good", "Signed"
		v.Lead = "This letter has been signed. There is nothing left to do."
		if doc.DateSigned != nil {
			v.Facts = append(v.Facts, fact{"Signed", moment(*doc.DateSigned)})
		}
	case doc.Status == workflow.Canceled && doc.CanceledBy == "signer":
		v.Status = "Declined"
		v.Lead = "The person who was asked to sign this letter has declined. It can no longer be signed."
	case doc.Status == workflow.Canceled:
		v.Status = "Withdrawn"
		v.Lead = "The company that sent this letter has withdrawn it. There is nothing left to do."
	default:
		v.Status = "Closed"
		v.Lead = "This letter can no longer be signed. If it should be, reply to the mail and ask for a new one."
	}
	return v
}

// numbers lists what the letter is about; an order whose number no event has
// told yet goes by its sid.
func numbers(doc workflow.Document) []number {
	list := make([]number, len(doc.Orders))
	for i, o := range doc.Orders {
		list[i] = number{Text: phone.Human(o.PhoneNumber)}
		if o.PhoneNumber == "" {
			list[i] = number{Order: string(o.SID)}
		}
	}
	return list
}

func facts(doc workflow.Document) []fact {
	list := []fact{{"Document", string(doc.SID)}}
	if doc.ContactTitle != "" {
		list = append(list, fact{"Signs as", doc.ContactTitle})
	}
	return list
}

func moment(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }
