package web_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"countersign/events"
	"countersign/internal/loa"
	"countersign/internal/web"
	"countersign/workflow"
)

// untouched is the body of a request that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

// TestPost_OnlyAnAnswerIsRead sends bodies that have no limit with what is no
// answer, as forms of both kinds.
func TestPost_OnlyAnAnswerIsRead(t *testing.T) {
	s := newSite(t, storeOf(letter()))
	for _, path := range []string{"/", "/nowhere", "/sign/forged", "/sign/" + s.token(t, 2), "/sign/" + s.token(t, 2) + "/letter.pdf", "/letter/forged"} {
		for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=b"} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
				r := httptest.NewRequestWithContext(t.Context(), method, path, untouched{t})
				r.Header.Set("Content-Type", kind)
				s.handler.ServeHTTP(httptest.NewRecorder(), r)
			}
		}
	}
}

// TestPost_BlankDrawingCountsAsNone has a drawing without a stroke.
func TestPost_BlankDrawingCountsAsNone(t *testing.T) {
	o := newOffice(t)
	form := o.form()
	var blank bytes.Buffer
	if err := png.Encode(&blank, image.NewNRGBA(image.Rect(0, 0, 900, 270))); err != nil {
		t.Fatal(err)
	}
	form.Set("drawn", "data:image/png;base64,"+base64.StdEncoding.EncodeToString(blank.Bytes()))
	code, body := o.post(form)
	o.wants(code, 200, body, "the letter is signed")
	if doc := o.stands(workflow.Signed); strings.Contains(string(doc.Evidence), `"drawn"`) || o.signed[0].Drawn != nil {
		t.Errorf("the letter has a drawing of %d bytes, and the evidence says %s", len(o.signed[0].Drawn), doc.Evidence)
	}
}

// TestPost_ThanksPromisesNoLetterByEmail: by the settings the mail may have none.
func TestPost_ThanksPromisesNoLetterByEmail(t *testing.T) {
	for lang, says := range map[string]string{"en": "a mail that confirms it is on its way", "es": "un correo que lo confirma va de camino"} {
		o := newOffice(t)
		_, body := o.get(t, "/sign/"+o.token(t, 2)+"?lang="+lang)
		form := o.form()
		form.Set("version", field(t, body, "version"))
		code, body := o.postTo(action(t, body), form)
		o.wants(code, 200, body, says)
		for _, promise := range []string{"signed letter is on its way", "carta firmada va de camino"} {
			if strings.Contains(body, promise) {
				t.Errorf("it says %q", promise)
			}
		}
	}
}

// TestPage_TitleThatIsTooLongIsCut is the document's, which the signer has not typed: the
// form as it comes can be sent.
func TestPage_TitleThatIsTooLongIsCut(t *testing.T) {
	doc := letter()
	doc.ContactTitle = strings.Repeat("Präsidentin ", 20)
	s := newSite(t, storeOf(doc))
	_, body := s.get(t, "/sign/"+s.token(t, 2))
	title := between(body, `<input id="title"`, "</div>")
	if got := between(title, `value="`, `"`); utf8.RuneCountInString(got) > 120 || !strings.HasPrefix(got, "Präsidentin Präsidentin") {
		t.Errorf("the form has a title of %d characters: %s", utf8.RuneCountInString(got), got)
	}
	if !strings.Contains(words(t, body), doc.ContactTitle) {
		t.Error("the letter does not have it whole")
	}
}

// TestHandler_PanicIsAnsweredAndLogged has the letter's writer do so: the visitor gets a page,
// and the operator a line in the log, without the token.
func TestHandler_PanicIsAnsweredAndLogged(t *testing.T) {
	s := newSite(t, storeOf(letter()), func(c *web.Config) { c.Letters = panicking{} })
	code, body := s.get(t, "/sign/"+s.token(t, 2)+"/letter.pdf?lang=es")
	if code != 500 || !strings.Contains(body, "En este momento no se puede mostrar la carta") {
		t.Errorf("%d\n%s", code, body)
	}
	if log := s.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "no such glyph") || strings.Contains(log, s.token(t, 2)) {
		t.Errorf("the log: %s", log)
	}
}

type panicking struct{ web.Letters }

func (panicking) PDF(context.Context, workflow.Document, loa.Words) ([]byte, error) {
	panic("no such glyph")
}

// TestPost_LetterThatChangesWhileItIsSealedIsNotSigned has a number of it changed, or the whole
// taken back, while a time stamp is waited for: that letter is not signed.
func TestPost_LetterThatChangesWhileItIsSealedIsNotSigned(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(*office)
		code int
		says string
	}{
		"changed": {func(o *office) {
			o.append(events.OrderStatusChanged("/carrier", "n", letter().AccountSID, sid, order, workflow.OrderStatusChanged{Status: workflow.OrderPendingLOA, PhoneNumber: "+14155550199"}))
		}, 409, "The letter changed while you read it"},
		"recalled": {func(o *office) { o.append(o.status("x", workflow.StatusChanged{Status: workflow.Opened})) }, 410, "was taken back"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			form := o.form()
			o.while = func() { c.do(o) }
			code, body := o.post(form)
			o.wants(code, c.code, body, c.says)
			if strings.Contains(body, " checked") {
				t.Error("what was ticked for another letter is ticked")
			}
			if doc, err := o.store.Document(t.Context(), sid); err != nil || doc.Status == workflow.Signed {
				t.Errorf("it is %s, %v", doc.Status, err)
			}
		})
	}
}
