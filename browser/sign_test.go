package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// fill fills in the form, with the keyboard where a person would.
func (p *person) fill(name string) {
	p.t.Helper()
	p.do(chromedp.SendKeys("#name", name), chromedp.Click("#authority"), chromedp.Click("#statements"), chromedp.Click("#consent"))
}

// draw draws with a pen.
func (p *person) draw() {
	p.t.Helper()
	eval[any](p, `{const c = document.querySelector('canvas'), r = c.getBoundingClientRect();
		['pointerdown', 'pointermove', 'pointermove', 'pointerup'].forEach((n, i) => c.dispatchEvent(
			new PointerEvent(n, {clientX: r.left + 30 + i * 60, clientY: r.top + 20 + (i % 2) * 40, bubbles: true}))); 1}`)
}

// TestFromTheMailToTheSignature signs a letter of 200 orders on a phone.
func TestFromTheMailToTheSignature(t *testing.T) {
	x, p := newTown(t), newBrowser(t)
	px, link := x.create(1, 200)
	p.do(p.device(true, false), chromedp.Navigate(link))
	p.reads("Waiting for your signature", "Example Messaging asks you to sign", "(415) 555-0199", order(1, 199))
	if wide := eval[int](p, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("the page is %d pixels wide on a phone", wide)
	}
	p.fill("Olivia Owner")
	p.draw()
	if drawn := eval[string](p, `document.getElementById('sign').elements.drawn.value`); !strings.HasPrefix(drawn, "data:image/png;base64,") {
		t.Errorf("drawn: %.40q", drawn)
	}
	p.accessible("200 orders")
	p.click("#sign > button")
	p.reads("Thank you, the letter is signed")
	if s := x.status(px); s != "signed" {
		t.Errorf("the API says %s", s)
	}
	pdf := download(t, link+"/letter.pdf")
	if said := sealed(t, pdf); !strings.Contains(said, "Signature is Valid") || !strings.Contains(said, "Total document signed") {
		t.Errorf("pdfsig says:\n%s", said)
	}
	wait(t, "the letter in the mail", func() bool {
		for _, m := range x.mails() {
			if strings.HasPrefix(m.MessageID, "<"+px+".1.signed.") {
				x.fetch(x.inbox+"/api/mails/"+number(m.ID), &m)
				return strings.Contains(m.Source, `filename="`+px+`.pdf"`)
			}
		}
		return false
	})
}

func number(n int) string {
	b, _ := json.Marshal(n) // a number always encodes
	return string(b)
}

func download(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.HasPrefix(b, []byte("%PDF")) {
		t.Fatalf("%d, %v, %.40q", resp.StatusCode, err, b)
	}
	return b
}

// sealed is what pdfsig says of a letter.
func sealed(t *testing.T, pdf []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "letter.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command("pdfsig", "-nocert", file).CombinedOutput() // it fails where it does not know the signer
	return string(out)
}

// TestEveryStateOfThePage goes through the states that a person can meet, and
// holds each to axe's rules.
func TestEveryStateOfThePage(t *testing.T) {
	x, p := newTown(t), newBrowser(t)
	p.do(chromedp.Navigate("http://" + x.public + "/"))
	p.state("front", "Letters of authorization")
	p.do(chromedp.Navigate("http://" + x.public + "/sign/forged"))
	p.state("unknown", "This link is not valid")

	px, link := x.create(1, 3)
	p.do(chromedp.Navigate(link))
	p.state("ready", "Sign the letter", "What signing does not do")
	p.click("nav a")
	p.state("ready-es", "Firmar la carta", "Esto no es una portabilidad")
	p.click("nav a")
	hostile := `<img src=x onerror="document.title='owned'">Zoë`
	p.do(chromedp.SendKeys("#name", hostile))
	p.click("#sign > button")
	p.state("errors", "Please mend this before you sign", "Tick that you agree to sign electronically")
	if got := eval[string](p, `document.querySelectorAll('img').length + document.getElementById('name').value`); got != "0"+hostile {
		t.Errorf("the name became %q", got)
	}
	if focus := eval[string](p, `document.activeElement.id`); focus != "errors" {
		t.Errorf("the focus is on %q, not on what is wrong", focus)
	}
	x.publish(px, "order."+order(1, 2)+".status", "number", map[string]string{"status": "pending-loa", "phone_number": "+14155550177"})
	p.do(chromedp.Click("#authority"), chromedp.Click("#statements"), chromedp.Click("#consent"))
	p.click("#sign > button")
	p.state("changed", "The letter changed while you read it", "(415) 555-0177")
	p.do(chromedp.Click("#authority"), chromedp.Click("#statements"), chromedp.Click("#consent"))
	p.draw()
	p.click("#sign > button")
	p.state("thanks", "Thank you, the letter is signed", "Download the signed letter")
	p.do(chromedp.Navigate(link))
	p.state("signed", "This letter has been signed", "Download the signed letter")
	if title := eval[string](p, `document.title`); strings.Contains(title, "owned") {
		t.Error("the name ran")
	}

	px, link = x.create(2, 1)
	p.do(chromedp.Navigate(link))
	eval[int](p, `document.querySelector('summary').click(), 1`)
	p.do(chromedp.SendKeys("#reason", "We keep our provider."))
	p.state("decline", "Decline to sign")
	p.click(`button[value="decline"]`)
	p.state("declined", "has declined")
	if s := x.status(px); s != "canceled" {
		t.Errorf("the API says %s", s)
	}
	px, link = x.create(3, 1)
	p.do(chromedp.Navigate(link))
	p.fill("Olivia Owner")
	x.api("POST", px, url.Values{"Status": {"opened"}})
	p.click("#sign > button")
	p.state("replaced", "The letter was taken back")
	px, link = x.create(4, 1)
	p.do(chromedp.Navigate(link))
	p.fill("Olivia Owner")
	x.api("DELETE", px, nil)
	p.click("#sign > button")
	p.state("withdrawn", "has withdrawn it")
	if s := x.status(px); s != "canceled" {
		t.Errorf("the API says %s", s)
	}
	px, link = x.create(5, 1)
	p.do(chromedp.Navigate(link))
	p.fill("Olivia Owner")
	eval[int](p, `setTimeout(() => { const b = document.querySelector('#sign > button'); b.click(); b.click(); }) && 1`)
	wait(t, "the letter to be signed by a double click", func() bool { return x.status(px) == "signed" })
	p.do(chromedp.Navigate(link))
	p.reads("Download the signed letter")
}

func TestALinkExpires(t *testing.T) {
	x, p := newTown(t, "--link-lifetime", "1s"), newBrowser(t)
	_, link := x.create(1, 1)
	wait(t, "the link to expire", func() bool {
		resp, err := http.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusGone
	})
	p.do(chromedp.Navigate(link))
	p.state("expired", "This link has expired")
}

// state reads a state of the page, holds it to axe's rules, and photographs it
// where SHOTS names a directory.
func (p *person) state(name string, says ...string) {
	p.t.Helper()
	p.reads(says...)
	for _, phone := range []bool{true, false} {
		for _, dark := range []bool{false, true} {
			p.do(p.device(phone, dark))
			if phone {
				p.accessible(name)
			}
			p.shoot(name, phone, dark)
		}
	}
	p.do(p.device(false, false))
}

// accessible fails where axe finds a violation.
func (p *person) accessible(name string) {
	p.t.Helper()
	eval[any](p, axe+"; 1")
	found := eval[string](p, `axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(
		v => v.id + ': ' + v.help + ' ' + v.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary).join(' | ')).join('\n'))`, chromedp.EvalAwaitPromise)
	if found != "" {
		p.t.Errorf("%s: axe says\n%s", name, found)
	}
}

func (p *person) shoot(name string, phone, dark bool) {
	dir := os.Getenv("SHOTS")
	if dir == "" {
		return
	}
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(35))
	if err != nil {
		p.t.Fatal(err)
	}
	device := map[bool]string{true: "phone", false: "desktop"}[phone]
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	if err := os.WriteFile(filepath.Join(dir, "sign-"+name+"-"+device+"-"+scheme+".jpg"), picture, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
