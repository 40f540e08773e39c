package web_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"countersign/events"
	"countersign/internal/test/eventstest"
	"countersign/internal/web"
	"countersign/workflow"
)

// pageForm is a form on a page, as a robot sees it.
type pageForm struct {
	filled url.Values // the fields as the page fills them in, and what is ticked
	empty  url.Values // each field that can be typed in or ticked, by name
	button [2]string  // name and value
}

// pageForms reads the forms of a page.
func pageForms(t *testing.T, body string) (forms []pageForm) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		_, checked := attr["checked"]
		switch {
		case n.Type != html.ElementNode:
		case n.Data == "form":
			forms = append(forms, pageForm{filled: url.Values{}, empty: url.Values{}})
		case attr["name"] == "" || len(forms) == 0:
		case n.Data == "button":
			forms[len(forms)-1].button = [2]string{attr["name"], attr["value"]}
		case n.Data == "textarea" || n.Data == "input" && attr["type"] != "hidden":
			forms[len(forms)-1].empty.Set(attr["name"], attr["value"])
			if attr["type"] != "checkbox" || checked {
				forms[len(forms)-1].filled.Set(attr["name"], attr["value"])
			}
		case n.Data == "input":
			forms[len(forms)-1].filled.Set(attr["name"], attr["value"])
		}
	}
	return forms
}

// press is the form as it is sent if its button is pressed, with more fields.
func (f pageForm) press(more ...string) url.Values {
	v := url.Values{f.button[0]: {f.button[1]}}
	for name, value := range f.filled {
		v[name] = value
	}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

// formOf finds the form with a button on the page of the letter.
func (o *office) formOf(button, lang string) pageForm {
	o.t.Helper()
	_, body := o.get(o.t, "/sign/"+o.token(o.t, 2)+"?lang="+lang)
	for _, f := range pageForms(o.t, body) {
		if f.button[1] == button {
			return f
		}
	}
	o.t.Fatalf("no button %s on the page:\n%s", button, body)
	return pageForm{}
}

// TestPage_RobotEndsNoLetter sends what link scanners send: the forms of the
// page with what it has filled in, with every button, with nothing typed, and by
// other methods. Case a8.
func TestPage_RobotEndsNoLetter(t *testing.T) {
	o := newOffice(t)
	path := "/sign/" + o.token(t, 2)
	_, body := o.get(t, path)
	forms := pageForms(t, body)
	if len(forms) != 3 {
		t.Fatalf("%d forms on the page", len(forms))
	}
	var sent []url.Values
	for _, f := range forms {
		bare := f.press()
		empty := f.press()
		for name := range f.empty {
			empty.Set(name, "")
		}
		sent = append(sent, bare, empty, f.filled) // the last presses no button
		for _, action := range []string{"sign", "decline", "not-me", "yes", ""} {
			sent = append(sent, f.press("action", action, "lang", "en"), f.press("action", action, "confirm", "yes"))
		}
		// It types into text fields, and ticks nothing.
		sent = append(sent, f.press("reason", "test", "name", "test", "title", "test"))
	}
	sent = append(sent, url.Values{}, url.Values{"action": {"decline"}}, url.Values{"action": {"not-me"}, "wrong-person": {"yes"}, "confirm": {"yes"}})
	for _, form := range sent {
		code, body := o.post(form)
		if code != http.StatusUnprocessableEntity && code != http.StatusConflict {
			t.Errorf("%v: status %d", form, code)
		}
		if strings.Contains(body, `id="confirm"`) {
			t.Errorf("%v: the page asks for the last confirmation", form)
		}
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			req, err := http.NewRequestWithContext(t.Context(), method, o.url+path+"?"+form.Encode(), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if resp, _ := do(t, req); resp.StatusCode != 200 {
				t.Errorf("%s %v: status %d", method, form, resp.StatusCode)
			}
		}
	}
	if doc := o.stands(workflow.Signing); doc.Round != 2 {
		t.Errorf("it is in round %d", doc.Round)
	}
}

// TestPage_TickAloneEndsNoLetter stops at the page that says what will happen:
// neither that page nor its form without the button changes anything.
func TestPage_TickAloneEndsNoLetter(t *testing.T) {
	o := newOffice(t)
	for button, tick := range map[string]string{"decline": "declines", "not-me": "wrong-person"} {
		code, body := o.post(o.formOf(button, "en").press(tick, "yes"))
		o.wants(code, 200, body, "Nothing has changed yet", "the letter ends", "You cannot undo this", "Back to the letter")
		forms := pageForms(t, body)
		if len(forms) != 1 || len(forms[0].empty) != 0 {
			t.Fatalf("forms: %+v", forms)
		}
		code, body = o.post(forms[0].filled)
		o.wants(code, 200, body, "Nothing has changed yet")
		form := forms[0].press()
		form.Del(tick)
		code, _ = o.post(form)
		if code != 422 {
			t.Errorf("%s, confirmed and not ticked: status %d", button, code)
		}
	}
	o.stands(workflow.Signing)
}

// TestPage_DecliningTakesATickAndAConfirmation goes the way of a person who has
// no JavaScript, in both languages. What the person typed is kept.
func TestPage_DecliningTakesATickAndAConfirmation(t *testing.T) {
	for _, c := range []struct {
		button, tick, lang, typed  string
		asks, states, says, reason string
		person                     string
	}{
		{"decline", "declines", "en", " We moved.\r\nTwice ", "Do you decline this letter?", "On behalf of the subscriber, I decline to sign this letter.", "You have declined this letter", "We moved.\nTwice", ""},
		{"decline", "declines", "es", "", "¿Rechaza esta carta?", "En nombre del titular, rechazo firmar esta carta.", "Ha rechazado esta carta", "declined", ""},
		{"not-me", "wrong-person", "en", ` Jane <b>Doe</b>, CFO `, "Are you not the right person?", "I am not the person who should sign this letter.", "Thank you for telling us", "not the right person: Jane <b>Doe</b>, CFO", "Jane <b>Doe</b>, CFO"},
		{"not-me", "wrong-person", "es", strings.Repeat("ñ", 200), "¿No es usted la persona indicada?", "No soy la persona que debe firmar esta carta.", "Gracias por avisarnos", "not the right person: " + strings.Repeat("ñ", 200), strings.Repeat("ñ", 200)},
		{"not-me", "wrong-person", "en", "", "Are you not the right person?", "I am not the person who should sign this letter.", "Thank you for telling us", "not the right person", ""},
	} {
		t.Run(c.button+" "+c.lang, func(t *testing.T) {
			o := newOffice(t)
			path := "/sign/" + o.token(t, 2) + "?lang=" + c.lang
			code, body := o.postTo(path, o.formOf(c.button, c.lang).press(c.tick, "yes", "reason", c.typed))
			o.wants(code, 200, body, c.asks, c.states, strings.Join(strings.Fields(c.typed), " "))
			o.stands(workflow.Signing)
			if strings.Contains(body, "<b>Doe") {
				t.Error("what was typed is markup on the page")
			}
			form := pageForms(t, body)[0].press()
			code, body = o.postTo(path, form)
			o.wants(code, 200, body, c.says)
			code, body = o.postTo(path, form)
			o.wants(code, 200, body)
			if strings.Contains(body, "<form") {
				t.Error("the page has a form still")
			}
			doc := o.stands(workflow.Canceled)
			var e struct {
				Statements  []string
				Reason      string
				RightPerson string `json:"right_person"`
				UserAgent   string `json:"user_agent"`
				Language    string
			}
			if err := json.Unmarshal(doc.Evidence, &e); err != nil {
				t.Fatal(err)
			}
			if wrong := c.person != "" || strings.Contains(c.reason, workflow.ReasonNotMe); doc.CanceledBy != "signer" || (doc.EndedBy == workflow.EndedWrongPerson) != wrong || doc.Reason != c.reason || e.RightPerson != c.person || len(e.Statements) != 1 || e.Statements[0] != c.states ||
				e.UserAgent != "Browser/1.0" || e.Language != c.lang {
				t.Errorf("canceled by %q, reason %q, evidence %s", doc.CanceledBy, doc.Reason, doc.Evidence)
			}
			if typed := strings.ReplaceAll(strings.TrimSpace(c.typed), "\r\n", "\n"); c.button == "decline" && e.Reason != typed {
				t.Errorf("the evidence has the reason %q, and %q was typed", e.Reason, typed)
			}
			if log := o.log.String(); log != "" {
				t.Errorf("the log: %s", log)
			}
		})
	}
}

// TestPage_ConfirmationIsForTheLetterThatWasShown changes the letter while the
// person reads what will happen.
func TestPage_ConfirmationIsForTheLetterThatWasShown(t *testing.T) {
	o := newOffice(t)
	_, body := o.post(o.formOf("decline", "en").press("declines", "yes"))
	form := pageForms(t, body)[0].press()
	o.append(events.OrderStatusChanged("/carrier", "n", letter().AccountSID, sid, order, workflow.OrderStatusChanged{Status: workflow.OrderPendingLOA, PhoneNumber: "+14155550199"}))
	code, body := o.post(form)
	o.wants(code, 409, body, "The letter changed while you read it", "(415) 555-0199")
	if regexp.MustCompile(`id="declines"[^>]* checked`).MatchString(body) {
		t.Error("what was ticked for another letter is ticked")
	}
	o.stands(workflow.Signing)
}

// TestPage_ConfirmationIsAskedAgainWithoutTheLog has the log away when the person
// confirms: the same page comes again, and its button counts once the log is back.
func TestPage_ConfirmationIsAskedAgainWithoutTheLog(t *testing.T) {
	o := newOffice(t, func(c *web.Config) { c.Wait = 300 * time.Millisecond })
	_, body := o.post(o.formOf("not-me", "en").press("wrong-person", "yes", "reason", "Jane Doe"))
	form := pageForms(t, body)[0].press()
	o.nats.Stop()
	code, body := o.post(form)
	o.wants(code, 503, body, "it counts once", "Jane Doe")
	if again := pageForms(t, body); len(again) != 1 || again[0].press().Encode() != form.Encode() {
		t.Errorf("the page has other forms than before: %+v", again)
	}
	o.nats.Start()
	eventstest.Wait(t, "the answer to count", func() bool {
		code, _ = o.post(form)
		return code == 200
	})
	o.stands(workflow.Canceled)
}

// TestPage_ConfirmationNamesTheSubscriber has a letter whose subscriber is known.
func TestPage_ConfirmationNamesTheSubscriber(t *testing.T) {
	s := newSite(t, storeOf(letter()))
	_, body := s.get(t, "/sign/"+s.token(t, 2))
	if text := words(t, body); !strings.Contains(text, "On behalf of the subscriber, Bay & View <i>Law</i>, I decline to sign this letter.") {
		t.Errorf("the statement does not name the subscriber:\n%s", text)
	}
}
