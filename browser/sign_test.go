package browser

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// fill fills in the form, with the keyboard where a person would.
func (p *person) fill(name string) {
	p.t.Helper()
	p.do(chromedp.SendKeys("#name", name))
	p.tick()
}

func (p *person) tick() {
	p.t.Helper()
	p.do(chromedp.Click("#authority"), chromedp.Click("#statements"), chromedp.Click("#consent"))
}

// draw draws with a pen.
func (p *person) draw() {
	p.t.Helper()
	eval[any](p, `{const c = document.querySelector('canvas'), r = c.getBoundingClientRect();
		['pointerdown', 'pointermove', 'pointermove', 'pointerup'].forEach((n, i) => c.dispatchEvent(
			new PointerEvent(n, {clientX: r.left + 30 + i * 60, clientY: r.top + 20 + (i % 2) * 40, bubbles: true}))); 1}`)
}

// The buttons.
const (
	signs    = "#sign > button"
	declines = `button[value="decline"]`
	notMe    = `button[value="not-me"]`
	confirms = `button[name="confirm"]`
)

// unfold opens what somebody needs who does not sign.
func (p *person) unfold() {
	p.t.Helper()
	eval[int](p, `document.querySelector('summary').click(), 1`)
}

// TestPage_IsSignedFromTheMail signs a letter of 200 orders on a phone.
func TestPage_IsSignedFromTheMail(t *testing.T) {
	t.Parallel()
	x, p := newTown(t), newTab(t)
	l := x.create(200)
	p.do(p.device(true, false), chromedp.Navigate(l.link))
	p.reads("Waiting for your signature", "Example Messaging asks you to sign", l.shown(199), l.order(199), "Owner & Daughters, Inc.")
	if wide := eval[int](p, `document.documentElement.scrollWidth`); wide > 375 {
		t.Errorf("the page is %d pixels wide on a phone", wide)
	}
	p.fill("Olivia Owner")
	p.draw()
	if drawn := eval[string](p, `document.getElementById('sign').elements.drawn.value`); !strings.HasPrefix(drawn, "data:image/png;base64,") {
		t.Errorf("drawn: %.40q", drawn)
	}
	p.accessible("200 orders")
	p.click(signs)
	p.reads("Thank you, the letter is signed")
	if s := x.status(l.px); s != "signed" {
		t.Errorf("the API says %s", s)
	}
	x.registered(l, 200)
	pdf := download(t, l.link+"/letter.pdf")
	if said := sealed(t, pdf); !strings.Contains(said, "Signature is Valid") || !strings.Contains(said, "Total document signed") {
		t.Errorf("pdfsig says:\n%s", said)
	}
	if !bytes.Equal(attached(t, x.mail(l, "signed"), l.px+".pdf"), pdf) {
		t.Error("the letter in the mail is another one than the page has")
	}
}

// attached is the file in a mail.
func attached(t *testing.T, m mailed, name string) []byte {
	t.Helper()
	_, part, ok := strings.Cut(m.Source, `filename="`+name+`"`)
	_, part, ok2 := strings.Cut(part, "\r\n\r\n")
	part, _, ok3 := strings.Cut(part, "\r\n--")
	if !ok || !ok2 || !ok3 {
		t.Fatalf("no file %s in the mail", name)
	}
	b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, strings.NewReader(part)))
	if err != nil {
		t.Fatal(err)
	}
	return b
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

// TestPage_IsDeclinedFromTheMail does not sign: by the one who was asked, who is the
// wrong person or does not want to, and by the account.
func TestPage_IsDeclinedFromTheMail(t *testing.T) {
	t.Parallel()
	x, p := newTown(t), newTab(t)
	for _, c := range []struct {
		name     string
		act      func(l letter)
		press    string
		says     string
		then     string // when the link is opened once more
		status   string
		attached bool
	}{
		{"decline", func(letter) {
			p.unfold()
			p.do(chromedp.SendKeys("#reason", "We keep our provider."), chromedp.Click("#declines"))
			p.click(declines)
			p.reads("Nothing has changed yet", "On behalf of the subscriber, Owner & Daughters, Inc., I decline", "We keep our provider.")
		}, confirms, "You have declined this letter", "has declined", "canceled", false},
		{"not me", func(letter) {
			p.unfold()
			p.do(chromedp.SendKeys("#person", "Jane Doe"), chromedp.Click("#wrong-person"))
			p.click(notMe)
			p.reads("Nothing has changed yet", "Jane Doe")
		}, confirms, "Thank you for telling us", "has declined", "canceled", false},
		{"recalled while the page is open", func(l letter) {
			p.fill("Olivia Owner")
			x.api("POST", l.px, url.Values{"Status": {"opened"}})
		}, signs, "The letter was taken back", "The letter was taken back", "opened", false},
		{"canceled while the page is open", func(l letter) {
			p.fill("Olivia Owner")
			x.api("DELETE", l.px, nil)
		}, signs, "has withdrawn it", "has withdrawn it", "canceled", false},
		{"recalled while the reason is typed", func(l letter) {
			p.unfold()
			p.do(chromedp.Click("#declines"))
			x.api("POST", l.px, url.Values{"Status": {"opened"}})
		}, declines, "The letter was taken back", "The letter was taken back", "opened", false},
		{"recalled before it is confirmed", func(l letter) {
			p.unfold()
			p.do(chromedp.Click("#declines"))
			p.click(declines)
			x.api("POST", l.px, url.Values{"Status": {"opened"}})
		}, confirms, "The letter was taken back", "The letter was taken back", "opened", false},
	} {
		l := x.create(1)
		p.do(chromedp.Navigate(l.link))
		c.act(l)
		p.click(c.press)
		p.reads(c.says)
		p.do(chromedp.Navigate(l.link))
		p.reads(c.then)
		if s := x.status(l.px); s != c.status {
			t.Errorf("%s: the API says %s, want %s", c.name, s, c.status)
		}
		x.registered(l, 0)
	}
}

// TestPage_SeveralSubmitsSignOnce signs by a double click, and in two tabs.
func TestPage_SeveralSubmitsSignOnce(t *testing.T) {
	t.Parallel()
	x, p := newTown(t), newTab(t)
	l := x.create(3)
	p.do(chromedp.Navigate(l.link))
	p.fill("Olivia Owner")
	eval[int](p, `setTimeout(() => { const b = document.querySelector('#sign > button'); b.click(); b.click(); }) && 1`)
	wait(t, "the letter to be signed by a double click", func() bool { return x.status(l.px) == "signed" })
	p.do(chromedp.Navigate(l.link))
	p.reads("Download the signed letter")
	x.registered(l, 3)

	other := newTab(t)
	l = x.create(2)
	for _, tab := range []*person{p, other} {
		tab.do(chromedp.Navigate(l.link))
		tab.fill("Olivia Owner")
	}
	p.click(signs)
	p.reads("Thank you, the letter is signed")
	pdf := download(t, l.link+"/letter.pdf")
	other.click(signs)
	other.reads("This letter has been signed", "Download the signed letter")
	if !bytes.Equal(download(t, l.link+"/letter.pdf"), pdf) {
		t.Error("the second signature made another letter")
	}
	x.registered(l, 2)
}

// TestPage_ChangedLetterIsNotSigned changes a letter while it is read, by
// somebody whose name is a page of its own.
func TestPage_ChangedLetterIsNotSigned(t *testing.T) {
	t.Parallel()
	x, p := newTown(t), newTab(t)
	l := x.create(3)
	p.do(chromedp.Navigate(l.link))
	hostile := `<img src=x onerror="document.title='owned'">Zoë`
	p.fill(hostile)
	x.publish(l.px, "order."+l.order(2)+".status", "number-"+l.px, map[string]string{"status": "pending-loa", "phone_number": l.number(2)})
	wait(t, "the number on the page", func() bool { return strings.Contains(page(t, l.link), l.shown(2)) })
	p.click(signs)
	p.reads("The letter changed while you read it", "Nothing has been signed", l.shown(2))
	if got := eval[string](p, `document.querySelectorAll('img').length + document.getElementById('name').value`); got != "0"+hostile {
		t.Errorf("the name became %q", got)
	}
	if ticked := eval[int](p, `document.querySelectorAll(':checked').length`); ticked != 0 {
		t.Errorf("%d boxes are still ticked, for another letter", ticked)
	}
	if s := x.status(l.px); s != "signing" {
		t.Errorf("the API says %s", s)
	}
	p.tick()
	p.click(signs)
	p.reads("Thank you, the letter is signed")
	if title := eval[string](p, `document.title`); strings.Contains(title, "owned") {
		t.Error("the name ran")
	}
}

func page(t *testing.T, link string) string {
	t.Helper()
	resp, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPage_WorksWithoutJavaScript signs and declines where no script runs.
func TestPage_WorksWithoutJavaScript(t *testing.T) {
	t.Parallel()
	x, p := newTown(t), newTab(t)
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	l := x.create(1)
	p.do(chromedp.Navigate(l.link))
	if shown := eval[bool](p, `document.getElementById('draw').checkVisibility()`); shown {
		t.Error("a field to draw in that does not work is shown")
	}
	p.press(signs)
	p.reads("Please correct this first", "Type your full name")
	p.fill("Olivia Owner")
	p.press(signs)
	p.reads("Thank you, the letter is signed")
	if s := x.status(l.px); s != "signed" {
		t.Errorf("the API says %s", s)
	}
	l = x.create(1)
	p.do(chromedp.Navigate(l.link))
	p.unfold()
	p.do(chromedp.SendKeys("#reason", "No."))
	p.press(declines)
	p.reads("Please correct this first", "Tick that you decline to sign")
	p.do(chromedp.Click("#declines"))
	p.press(declines)
	p.reads("Nothing has changed yet", "No.")
	if s := x.status(l.px); s != "signing" {
		t.Errorf("the API says %s before the confirmation", s)
	}
	p.press(confirms)
	p.reads("You have declined this letter")
	if s := x.status(l.px); s != "canceled" {
		t.Errorf("the API says %s", s)
	}
}
