package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"countersign/events"
	"countersign/internal/loa"
	"countersign/workflow"
)

// answering is a POST that is being answered.
type answering struct {
	*handler
	r *http.Request
	*visit
	form *form
}

// answer checks what was sent, signs or declines, and returns what to show. A
// drawing is looked at when nothing else is wrong.
func (a *answering) answer() view {
	if ended := a.waitForSigning(); ended != nil {
		return *ended
	}
	now := shown(a.Provider, a.words, a.doc)
	if a.form.Version != now {
		return a.changed()
	}
	switch {
	case a.form.Action == "sign":
		if v := a.ready(a.t, a.doc, a.token, a.expires); v.Notice != "" { // the letter cannot be printed
			return a.again(http.StatusUnprocessableEntity, v.Notice)
		}
		a.form.check(a.t)
	case a.form.Ends():
		a.form.checkEnd(a.t)
	default:
		return a.again(http.StatusUnprocessableEntity, a.t.Failed)
	}
	switch {
	case len(a.form.Errors) > 0:
		return a.again(http.StatusUnprocessableEntity, "")
	case a.form.Ends() && !a.form.Confirmed:
		return a.confirm(http.StatusOK, "")
	}
	var e events.Event
	var err error
	if a.form.Ends() {
		e, err = a.declined(now)
	} else {
		if no := a.unsignable(); no != nil {
			return *no
		}
		if v := a.draw(); v != nil {
			return *v
		}
		if e, err = a.signed(now); err == nil {
			if v := a.stillShown(now); v != nil { // a time stamp can take seconds
				return *v
			}
		}
	}
	if err == nil {
		err = a.append(e)
	}
	if err != nil {
		return a.failed(err)
	}
	return a.outcome()
}

// draw decodes the drawing, once fewer than maxDrawings others are being
// decoded. It returns what to show if the drawing cannot be used, or if the wait
// was too long.
func (a *answering) draw() *view {
	if a.form.Drawn == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(a.r.Context(), a.Wait)
	defer cancel()
	if a.drawings.Acquire(ctx, 1) != nil {
		return new(a.again(http.StatusServiceUnavailable, a.t.Busy))
	}
	defer a.drawings.Release(1)
	var ok bool
	if a.form.drawing, ok = drawing(a.form.Drawn); !ok {
		a.form.Drawn = ""
		a.form.Errors = append(a.form.Errors, fault{"drawn", a.t.BadDrawn})
		return new(a.again(http.StatusUnprocessableEntity, ""))
	}
	return nil
}

// unsignable returns what to show if no signature may be taken now; nil if one may.
func (a *answering) unsignable() *view {
	if a.Signable == nil {
		return nil
	}
	err := a.Signable()
	if err == nil {
		return nil
	}
	a.Logger.WarnContext(a.r.Context(), "no signature is taken now", "document", a.doc.SID, "err", err)
	return new(a.again(http.StatusServiceUnavailable, a.t.NotNow))
}

// changed shows the form for the letter as it is now, with nothing ticked: the
// old ticks were for another letter.
func (a *answering) changed() view {
	a.form.Authority, a.form.Statements, a.form.Ticked = false, false, false
	a.form.Declines, a.form.WrongPerson, a.form.Confirmed = false, false, false
	return a.again(http.StatusConflict, a.t.Changed)
}

// stillShown reads the document once more. It returns what to show if the document
// is not as it was shown, or has ended; nil if it is unchanged.
func (a *answering) stillShown(was string) *view {
	visit := a.handler.visit(a.r)
	if visit.access != signs {
		return &visit.page
	}
	if a.visit = visit; shown(a.Provider, a.words, a.doc) != was {
		return new(a.changed())
	}
	return nil
}

// waitForSigning waits until the own database knows that the mail server accepted
// the email with the link: an answer that is appended earlier would be parked. It
// returns what to show if the letter has ended meanwhile, or if the wait is too long.
func (a *answering) waitForSigning() *view {
	ctx, cancel := context.WithTimeout(a.r.Context(), a.Wait)
	defer cancel()
	for a.doc.Status != workflow.Signing {
		if v := a.waitForChange(ctx); v != nil {
			return v
		}
	}
	return nil
}

// waitForChange waits until the document is signing, or has changed.
func (a *answering) waitForChange(ctx context.Context) *view {
	changed, forget := a.Documents.DocumentChanged(a.doc.SID)
	defer forget()
	visit := a.handler.visit(a.r.WithContext(ctx))
	switch {
	case visit.access != signs:
		return &visit.page
	case visit.doc.Status == workflow.Signing:
		a.visit = visit
		return nil
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return new(a.again(http.StatusServiceUnavailable, a.t.Busy))
	}
}

// confirm says what will happen if the letter is declined, and asks whether it
// should. Nothing is kept here until the answer comes.
func (a *answering) confirm(code int, notice string) view {
	c := confirmation{Form: a.form, Statement: a.statement()}
	says := a.t.ConfirmDecline
	c.Label, c.Button = a.t.YourReason, a.t.YesDecline
	if a.form.Action == "not-me" {
		says = a.t.ConfirmNotMe
		c.Label, c.Button = a.t.RightPerson, a.t.YesNotMe
	}
	v := a.plain(a.t, code, says)
	v.Mood, v.Notice, v.Token, v.Confirm = "wait", notice, a.token, &c
	return v
}

// statement is the sentence that a person who does not sign ticks.
func (a *answering) statement() string {
	if a.form.Action == "not-me" {
		return a.t.WrongPerson
	}
	return a.t.declines(a.doc)
}

// again asks once more, with what was typed: to confirm, if only the
// confirmation failed, and else with the letter and its form.
func (a *answering) again(code int, notice string) view {
	if a.form.Ends() && a.form.Confirmed && len(a.form.Errors) == 0 {
		return a.confirm(code, notice)
	}
	v := a.ready(a.t, a.doc, a.token, a.expires)
	v.Code, v.Notice = code, notice
	version := v.Form.Version
	v.Form = a.form
	v.Form.Version = version
	if a.form.Action != "sign" { // the form that declines has no title
		v.Form.Title = titleOf(a.doc)
	}
	if notice != "" {
		v.Form.Errors = nil
	}
	return v
}

// failed is the page for an answer that was not recorded, or perhaps not.
func (a *answering) failed(err error) view {
	if errors.Is(err, workflow.ErrUnavailable) {
		if a.r.Context().Err() == nil {
			a.Logger.WarnContext(a.r.Context(), "an answer to a letter could not be recorded; the visitor is asked to try again", "document", a.doc.SID, "err", err)
		}
		return a.again(http.StatusServiceUnavailable, a.t.Busy)
	}
	a.trouble(a.r.Context(), "an answer to a letter failed", a.doc.SID, err)
	return a.again(http.StatusInternalServerError, a.t.Failed)
}

// outcome is the page after the answer was applied: another answer may have come
// first.
func (a *answering) outcome() view {
	visit := a.handler.visit(a.r)
	switch visit.access {
	case signs:
		return a.again(http.StatusServiceUnavailable, a.t.Busy)
	case refused:
		return visit.page
	}
	v := visit.page
	declined := visit.doc.Status == workflow.Canceled && visit.doc.CanceledBy == "signer"
	switch {
	case visit.doc.Status == workflow.Signed && a.form.Action == "sign":
		v.set(a.t.Thanks)
	case declined && a.form.Action == "decline":
		v.set(a.t.Declining)
	case declined && a.form.Action == "not-me":
		v.set(a.t.NotYou)
	}
	return v
}

// append puts the answer on the log, and waits until the own database has it.
func (a *answering) append(e events.Event) error {
	ctx, cancel := context.WithTimeout(a.r.Context(), a.Wait)
	defer cancel()
	sequence, err := a.Log.Append(ctx, e)
	if err != nil {
		return err
	}
	applied, done := context.WithTimeout(a.r.Context(), a.Wait)
	defer done()
	if err := a.Documents.WaitApplied(applied, sequence); err != nil {
		return fmt.Errorf("%w: wait until entry %d is applied: %w", workflow.ErrUnavailable, sequence, err)
	}
	return nil
}

// evidence is what the event records about a visit.
type evidence struct {
	Name         string    `json:"name,omitempty"`
	Title        string    `json:"title,omitempty"`
	Language     string    `json:"language"`
	WordsVersion string    `json:"words_version"`
	Statements   []string  `json:"statements,omitempty"`   // as they were shown and ticked
	Consent      string    `json:"consent,omitempty"`      // the same
	Reason       string    `json:"reason,omitempty"`       // why the signer declined, as it was typed
	RightPerson  string    `json:"right_person,omitempty"` // who should be asked instead, as it was typed
	Drawn        bool      `json:"drawn,omitempty"`
	Time         time.Time `json:"time"`
	Zone         string    `json:"zone,omitempty"`
	IP           string    `json:"ip"`
	UserAgent    string    `json:"user_agent"`
	Shown        string    `json:"shown"`
	Letter       string    `json:"letter,omitempty"` // its name in the object store
}

// maxAgent is the maximum length of a User-Agent that is kept, in bytes.
const maxAgent = 512

func (a *answering) evidence(shown string) evidence {
	agent := strings.ToValidUTF8(a.r.UserAgent(), "?")
	if len(agent) > maxAgent {
		agent = strings.ToValidUTF8(agent[:maxAgent], "")
	}
	return evidence{
		Language: a.t.Language, WordsVersion: loa.Version, Time: a.Now().UTC().Truncate(time.Millisecond),
		Zone: a.form.Zone, IP: a.address(a.r).String(), UserAgent: agent, Shown: shown,
	}
}

// signed makes the event of a signature, once its letter is kept. Its id
// follows from the round: signing twice gives the same event.
func (a *answering) signed(shown string) (events.Event, error) {
	e := a.evidence(shown)
	e.Name, e.Title, e.Drawn = a.form.Name, a.form.Title, a.form.drawing != nil
	e.Statements, e.Consent = []string{a.words.Authority, a.words.Scope, a.words.NotAPort, a.words.Validity}, a.words.Consent
	ctx, cancel := context.WithTimeout(a.r.Context(), 2*a.Wait)
	defer cancel()
	digest, name, err := a.Letters.Sign(ctx, a.doc, Signature{
		Words: a.words, Name: e.Name, Title: e.Title, Drawn: a.form.drawing, Zone: e.Zone,
		At: e.Time, Address: e.IP, Agent: e.UserAgent, Shown: shown,
	})
	if err != nil {
		return events.Event{}, err
	}
	e.Letter = name
	return a.event("sign", workflow.StatusChanged{Status: workflow.Signed, LetterDigest: digest, LetterKept: true}, e)
}

func (a *answering) declined(shown string) (events.Event, error) {
	reason, by, e := a.form.Reason, workflow.EndedDeclined, a.evidence(shown)
	e.Statements = []string{a.statement()}
	switch {
	case a.form.Action == "not-me":
		e.RightPerson, by = reason, workflow.EndedWrongPerson
		reason = workflow.ReasonRightPerson(reason)
	case reason == "":
		reason = workflow.ReasonDeclined
	default:
		e.Reason = reason
	}
	return a.event("decline", workflow.StatusChanged{Status: workflow.Canceled, CanceledBy: "signer", EndedBy: by, Reason: reason}, e)
}

func (a *answering) event(what string, b workflow.StatusChanged, e evidence) (events.Event, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return events.Event{}, fmt.Errorf("write the evidence: %w", err)
	}
	b.Evidence, b.Round = raw, a.doc.Round
	id := fmt.Sprintf("%s.%s.%d", what, a.doc.SID, a.doc.Round)
	made := events.StatusChanged("", id, a.doc.AccountSID, a.doc.SID, b).By(workflow.WriterPage)
	made.Time = e.Time
	return made, nil
}
