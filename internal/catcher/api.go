package catcher

import (
	"encoding/json"
	"net/http"
	"net/mail"
	"time"
)

// mailJSON is a mail as scripts read it.
type mailJSON struct {
	ID        int       `json:"id"`
	At        time.Time `json:"at"`
	From      string    `json:"from"`
	To        []string  `json:"to"`
	Subject   string    `json:"subject"`
	MessageID string    `json:"message_id"`
	Text      string    `json:"text"`

	// Of a single mail only.
	HTML   string      `json:"html,omitempty"`
	Header mail.Header `json:"header,omitempty"`
	Source string      `json:"source,omitempty"`
}

func toJSON(m Mail) mailJSON {
	return mailJSON{ID: m.ID, At: m.At.UTC(), From: m.From, To: m.To, Subject: m.Subject, MessageID: m.MessageID, Text: m.Text}
}

func (c *Catcher) apiList(w http.ResponseWriter, r *http.Request) {
	mails, _, _ := c.find(r.URL.Query().Get("q"))
	list := make([]mailJSON, len(mails))
	for i, m := range mails {
		list[i] = toJSON(m)
	}
	writeJSON(w, http.StatusOK, list)
}

func (c *Catcher) apiMail(w http.ResponseWriter, r *http.Request) {
	m, ok := c.named(r)
	if !ok {
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "there is no such mail; it was never caught, or is no longer kept"})
		return
	}
	full := toJSON(m)
	full.HTML, full.Header, full.Source = m.HTML, m.Header, valid(m.Raw)
	writeJSON(w, http.StatusOK, full)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client may have left
}
