package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"countersign/internal/letter/fonts"
	"countersign/internal/loa"
	"countersign/internal/phone"
	"countersign/workflow"
)

// view is one page.
type view struct {
	Code int    // HTTP status
	Mood string // class of the page: "wait", "good", "over", or none
	say
	Notice string // shown highlighted above the letter
	T      *texts
	W      loa.Words

	Letter   *sheet        // nil if no letter is shown
	Form     *form         // nil if nothing can be signed
	Declines string        // the statement of those who decline
	Confirm  *confirmation // nil unless the page asks whether to end the letter
	Download bool          // the page offers the signed letter
	SignedOn string
	Good     string // until when the link is valid
	Token    string
	CSS      template.CSS
	Script   template.JS
}

// confirmation asks whether to end a letter unsigned. Its form sends once more
// what was ticked and typed.
type confirmation struct {
	Form             *form
	Statement, Label string // what was ticked; what was typed
	Button           string
}

// sheet is a letter as the page shows it.
type sheet struct {
	Provider, Document, Email, Title, Phone string
	Subscriber                              string
	Address                                 []string // lines
	Numbers                                 []number
	Version                                 string // of the words
}

type number struct{ Text, Carrier, Order string }

// plain is a page without a letter.
func (h *handler) plain(t *texts, code int, s say) view {
	v := view{Code: code, say: s, T: t, W: loa.Of(h.Provider, t.Language)}
	if code == http.StatusGone {
		v.Mood = "over"
	}
	return v
}

// letter is a page that shows one.
func (h *handler) letter(t *texts, doc workflow.Document, token string) view {
	v := h.plain(t, http.StatusOK, say{})
	v.Token, v.Title = token, v.W.Title
	v.Letter = &sheet{
		Provider: h.Provider, Document: string(doc.SID), Email: doc.Email, Title: doc.ContactTitle,
		Phone: phone.Human(doc.ContactPhoneNumber), Version: loa.Version,
		Subscriber: doc.Subscriber, Address: doc.ServiceAddress.Lines(),
	}
	for _, o := range doc.Orders {
		v.Letter.Numbers = append(v.Letter.Numbers, number{phone.Human(o.PhoneNumber), o.CurrentCarrier, string(o.SID)})
	}
	return v
}

// ready asks for the signature. The link is valid until expires, or until the
// letter expires.
func (h *handler) ready(t *texts, doc workflow.Document, token string, expires time.Time) view {
	v := h.letter(t, doc, token)
	if doc.ExpiresAt != nil && doc.ExpiresAt.Before(expires) {
		expires = *doc.ExpiresAt
	}
	v.Mood, v.Status = "wait", t.Ready.Status
	v.Lead = fmt.Sprintf(t.Asks, h.Provider)
	v.Good = fmt.Sprintf(t.Good, t.moment(expires))
	v.Declines = t.declines(doc)
	v.Notice = v.unprintable()
	v.Form = &form{Version: shown(h.Provider, v.W, doc), Title: titleOf(doc)}
	return v
}

// unprintable says which part of the letter has a character that it cannot
// print; "" if none has. The signer's own title is judged when it is typed.
func (v *view) unprintable() string {
	w, l := v.W, v.Letter
	parts := []struct{ name, text string }{
		{w.Provider, l.Provider}, {w.Subscriber, l.Subscriber}, {w.Address, strings.Join(l.Address, "\n")}, {w.Email, l.Email},
	}
	for _, n := range l.Numbers {
		parts = append(parts, struct{ name, text string }{w.Carrier, n.Carrier})
	}
	for _, p := range parts {
		if r, ok := fonts.Missing(p.text); ok {
			return fmt.Sprintf(v.T.Unprintable, p.name, spelled(r))
		}
	}
	return ""
}

// ended says how the letter ended. The reason is left out: it is in the words
// of an upstream service or of a mail server, for the account and not for the
// signer.
func (h *handler) ended(t *texts, doc workflow.Document, token string) view {
	v := h.letter(t, doc, token)
	v.Mood = "over"
	switch {
	case doc.Status == workflow.Signed:
		v.Mood = "good"
		v.set(t.Signed)
		v.Download = h.Letters.Kept(doc)
		if doc.DateSigned != nil {
			v.SignedOn = t.moment(*doc.DateSigned)
		}
	case doc.Status == workflow.Canceled && doc.CanceledBy == "signer":
		v.set(t.Declined)
	case doc.Status == workflow.Canceled:
		v.set(t.Withdrawn)
	default:
		v.set(t.Closed)
	}
	return v
}

// set replaces what the page says by s; if s has no title, the old title stays.
func (v *view) set(s say) {
	if s.Title == "" {
		s.Title = v.Title
	}
	v.say = s
}

// hint returns an abbreviated address, such as "o…@example.com": its owner
// recognizes it, and others do not learn it.
func hint(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	_, n := utf8.DecodeRuneInString(local)
	return local[:n] + "…@" + domain
}

// shown is the digest of the letter as the page shows it: every sentence and
// every number of it, and the round that it is for.
func shown(provider string, w loa.Words, doc workflow.Document) string {
	type order struct{ SID, Number, Carrier string }
	content := struct {
		Document            workflow.SID
		Round               int
		Version             string
		Words               loa.Words
		Provider            string
		Email, Title, Phone string
		Subscriber          string
		Address             workflow.ServiceAddress
		Orders              []order
	}{
		Document: doc.SID, Round: doc.Round, Version: loa.Version, Words: w, Provider: provider, Email: doc.Email,
		Title: doc.ContactTitle, Phone: doc.ContactPhoneNumber, Subscriber: doc.Subscriber, Address: doc.ServiceAddress,
	}
	for _, o := range doc.Orders {
		content.Orders = append(content.Orders, order{string(o.SID), o.PhoneNumber, o.CurrentCarrier})
	}
	text, err := json.Marshal(content)
	if err != nil {
		panic(fmt.Sprintf("encode what is shown: %v", err)) // strings and numbers always encode
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}
