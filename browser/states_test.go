package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// says is what each state of the page says in a language, by which the test
// knows that it is there.
var says = map[string]map[string]string{
	"en": {
		"front": "Letters of authorization", "nowhere": "There is no such page", "unknown": "This link is not valid",
		"ready": "Sign the letter", "errors": "Please correct this first", "changed": "The letter changed while you read it",
		"thanks": "Thank you, the letter is signed", "signed": "This letter has been signed", "decline": "Decline to sign",
		"decline-error": "at most 1,000 characters", "confirm-decline": "Do you decline this letter?", "confirm-not-me": "Are you not the right person?", "declining": "You have declined this letter", "declined": "has declined",
		"recalled": "The letter was taken back", "not-me": "Thank you for telling us", "replaced": "This link has been replaced", "withdrawn": "has withdrawn it",
		"closed": "can no longer be signed", "expired": "This link has expired", "too-many": "Too many requests",
		"failed": "Something went wrong on our side", "foreign": "This was not sent from our page",
		"busy": "We could not be sure", "unavailable": "Please try again in a moment",
	},
	"es": {
		"front": "Cartas de autorización", "nowhere": "Esta página no existe", "unknown": "Este enlace no es válido",
		"ready": "Firmar la carta", "errors": "Corrija primero lo siguiente", "changed": "La carta cambió mientras la leía",
		"thanks": "Gracias, la carta está firmada", "signed": "Esta carta ya está firmada", "decline": "Rechazar la firma",
		"decline-error": "como máximo 1000 caracteres", "confirm-decline": "¿Rechaza esta carta?", "confirm-not-me": "¿No es usted la persona indicada?", "declining": "Ha rechazado esta carta", "declined": "la ha rechazado",
		"recalled": "La carta se ha retirado", "not-me": "Gracias por avisarnos", "replaced": "Este enlace ha sido sustituido", "withdrawn": "la ha retirado",
		"closed": "ya no se puede firmar", "expired": "Este enlace ha caducado", "too-many": "Demasiadas solicitudes",
		"failed": "Algo falló por nuestra parte", "foreign": "Esto no se envió desde nuestra página",
		"busy": "No pudimos asegurarnos", "unavailable": "Inténtelo de nuevo en un momento",
	},
}

// whole are the states that are photographed from top to bottom. The others
// differ in what is on top.
var whole = map[string]bool{"ready": true, "errors": true, "decline": true}

// visit is somebody who goes through the states in one language.
type visit struct {
	*person
	x    *town
	lang string
}

// visits runs a journey in each language.
func visits(t *testing.T, x *town, journey func(visit)) {
	for lang := range says {
		t.Run(lang, func(t *testing.T) {
			of := *x
			of.t = t
			journey(visit{newTab(t), &of, lang})
		})
	}
}

func (v visit) open(link string) {
	v.t.Helper()
	v.do(chromedp.Navigate(link + "?lang=" + v.lang))
}

// state reads a state of the page, holds it to axe's rules, and photographs it
// where SHOTS names a directory.
func (v visit) state(name string) {
	v.t.Helper()
	v.reads(says[v.lang][name])
	if got := eval[string](v.person, `document.documentElement.lang`); got != v.lang {
		v.t.Errorf("%s is in %q, want %q", name, got, v.lang)
	}
	v.do(v.device(true, false))
	v.accessible(name)
	v.reflows(name)
	v.do(v.device(true, false)) // else the picture is as high as the page was with larger text
	v.shoot("sign-"+name, true, false)
	v.do(v.device(true, true))
	v.contrast(name + ", dark")
	if v.lang == "en" {
		v.shoot("sign-"+name, true, true)
		if os.Getenv("SHOTS") != "" {
			for _, dark := range []bool{false, true} {
				v.do(v.device(false, dark))
				v.shoot("sign-"+name, false, dark)
			}
		}
	}
	v.do(v.device(false, false))
}

// TestPage_EveryState goes through the states that a person can meet in a
// letter that is signed.
func TestPage_EveryState(t *testing.T) {
	t.Parallel()
	visits(t, newTown(t), func(v visit) {
		site := "http://" + v.x.public
		v.open(site + "/")
		v.state("front")
		v.open(site + "/no/such/page")
		v.state("nowhere")
		l := v.x.create(3)
		v.open(l.link[:len(l.link)-1])
		v.state("unknown")
		v.open(l.link)
		v.state("ready")
		v.do(chromedp.SendKeys("#name", "1"))
		v.click(signs)
		v.state("errors")
		v.errorsLeadToFields(4)
		v.do(chromedp.SetValue("#name", "Olivia Owner"))
		v.tick()
		eval[int](v.person, `document.querySelector('#sign > button').value = 'dance', 1`)
		v.click(signs)
		v.state("failed")
		v.x.publish(l.px, "order."+l.order(2)+".status", "number-"+l.px, map[string]string{"status": "pending-loa", "phone_number": l.number(2)})
		wait(v.t, "the number on the page", func() bool { return strings.Contains(page(v.t, l.link), l.shown(2)) })
		v.click(signs)
		v.state("changed")
		v.tick()
		v.draw()
		v.click(signs)
		v.state("thanks")
		v.open(l.link)
		v.state("signed")
	})
}

// TestPage_EveryEndOfALetter goes through the states in which a letter is not
// signed.
func TestPage_EveryEndOfALetter(t *testing.T) {
	t.Parallel()
	visits(t, newTown(t), func(v visit) {
		l := v.x.create(2)
		v.open(l.link)
		v.foreign(l.link)
		v.state("foreign")
		v.open(l.link)
		v.unfold()
		v.do(chromedp.SendKeys("#reason", "We keep our provider."))
		v.state("decline")
		eval[int](v.person, `document.getElementById('reason').value = 'x'.repeat(1001), 1`)
		v.click(declines)
		v.state("decline-error")
		v.errorsLeadToFields(2)
		if title := eval[string](v.person, `document.getElementById('title').value`); title != "Owner" {
			v.t.Errorf("the title became %q", title)
		}
		v.do(chromedp.SetValue("#reason", "We keep our provider."), chromedp.Click("#declines"))
		v.click(declines)
		v.state("confirm-decline")
		v.click(confirms)
		v.state("declining")
		v.open(l.link)
		v.state("declined")
		l = v.x.create(1)
		v.open(l.link)
		v.unfold()
		v.do(chromedp.SendKeys("#person", "Jane Doe, CFO"), chromedp.Click("#wrong-person"))
		v.click(notMe)
		v.state("confirm-not-me")
		v.click(confirms)
		v.state("not-me")

		l = v.x.create(1)
		v.x.api("POST", l.px, url.Values{"Status": {"opened"}})
		v.open(l.link)
		v.state("recalled")
		v.x.api("POST", l.px, url.Values{"Email": {"office@example.com"}, "Status": {"signing"}})
		v.open(l.link)
		v.state("replaced")
		l = v.x.create(1)
		v.x.api("DELETE", l.px, nil)
		v.open(l.link)
		v.state("withdrawn")
		l = v.x.create(1)
		v.x.publish(l.px, "status", "failed-"+l.px, map[string]string{"status": "failed", "reason": "the numbers are gone"})
		wait(v.t, "the letter to fail", func() bool { return v.x.status(l.px) == "failed" })
		v.open(l.link)
		v.state("closed")
		l = v.x.create(1)
		v.open(l.link)
		v.tooOften(l.link + "/letter.pdf")
		v.state("too-many")
	})
}

// tooOften opens a file until there is a page in its place. The limit lets two
// through every second, and one that the browser gets leaves the tab where it is.
func (v visit) tooOften(link string) {
	v.t.Helper()
	wait(v.t, "too many requests", func() bool {
		for code := 0; code != http.StatusTooManyRequests; {
			resp, err := http.Get(link)
			if err != nil {
				v.t.Fatal(err)
			}
			resp.Body.Close()
			code = resp.StatusCode
		}
		ctx, cancel := context.WithTimeout(v.ctx, patience)
		defer cancel()
		err := chromedp.Do(ctx, chromedp.Navigate(link+"?lang="+v.lang))
		if err != nil && !strings.Contains(err.Error(), "net::ERR_ABORTED") {
			v.t.Fatal(err)
		}
		return err == nil
	})
}

// foreign sends the form of a link from another website's page.
func (v visit) foreign(link string) {
	v.t.Helper()
	v.do(chromedp.Navigate("about:blank"))
	v.leave(fmt.Sprintf(`{const f = document.body.appendChild(document.createElement('form'));
		f.method = 'post', f.action = %q; f.innerHTML = '<input name="action" value="decline">'; f.submit(); 1}`, link+"?lang="+v.lang))
}

func TestPage_SaysThatLinkHasExpired(t *testing.T) {
	t.Parallel()
	x := newTown(t, "--link-lifetime", "1s", "--expire-after", "off")
	visits(t, x, func(v visit) {
		l := v.x.create(1)
		wait(v.t, "the link to expire", func() bool {
			resp, err := http.Get(l.link)
			if err != nil {
				v.t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode == http.StatusGone
		})
		v.open(l.link)
		v.state("expired")
	})
}

// accessible fails where axe finds a violation.
func (p *person) accessible(name string) {
	p.t.Helper()
	p.axe(name, `{resultTypes: ['violations'], rules: {'target-size': {enabled: true}}}`)
}

// contrast fails where axe finds text that is hard to read. Light and dark
// differ in nothing else.
func (p *person) contrast(name string) {
	p.t.Helper()
	p.axe(name, `{resultTypes: ['violations'], runOnly: ['color-contrast', 'link-in-text-block']}`)
}

func (p *person) axe(name, options string) {
	p.t.Helper()
	eval[any](p, "if (!window.axe) {"+axe+"}; 1")
	found := eval[string](p, `axe.run(document, `+options+`).then(r => r.violations.map(
		v => v.id + ': ' + v.help + ' ' + v.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary).join(' | ')).join('\n'))`, chromedp.EvalAwaitPromise)
	if found != "" {
		p.t.Errorf("%s: axe says\n%s", name, found)
	}
}

// shoot takes a picture if SHOTS names a directory. Of a state that is
// photographed from top to bottom it takes another, of the top alone.
func (v visit) shoot(name string, phone, dark bool) {
	v.t.Helper()
	if whole[strings.TrimPrefix(name, "sign-")] && v.lang == "en" {
		v.person.shoot(name, true, phone, dark)
		name += "-top"
	}
	name += map[bool]string{true: "-es", false: ""}[v.lang == "es"]
	v.person.shoot(name, false, phone, dark)
}

func (p *person) shoot(name string, whole, phone, dark bool) {
	dir := os.Getenv("SHOTS")
	if dir == "" {
		return
	}
	p.t.Helper()
	quality := int64(35)
	picture, err := chromedp.Run(p.ctx, chromedp.Action[[]byte](func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
		r, err := cdp.Call(ctx, t, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{
			CaptureBeyondViewport: &whole, Format: cdppage.CaptureScreenshotFormatJpeg, Quality: &quality,
		})
		return r.Data, err
	}))
	if err != nil {
		p.t.Fatal(err)
	}
	device := map[bool]string{true: "phone", false: "desktop"}[phone]
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	if err := os.WriteFile(filepath.Join(dir, name+"-"+device+"-"+scheme+".jpg"), picture, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
