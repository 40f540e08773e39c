package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// reflows holds a state to what axe cannot see: it fits 320 pixels, which is a
// zoom of 400 % on a desktop, with text of twice the size and with text that is
// set wider (WCAG 2.2, 1.4.4, 1.4.10 and 1.4.12), and nothing on it moves.
func (p *person) reflows(name string) {
	p.t.Helper()
	const wide = `document.documentElement.scrollWidth`
	fits := func(how string, most int) {
		if got := eval[int](p, wide); got > most {
			p.t.Errorf("%s: %d pixels wide with %s, which has %d", name, got, how, most)
		}
	}
	p.do(chromedp.EmulateViewport(320, 640))
	fits("a zoom of 400 %", 320)
	eval[int](p, `{const s = document.documentElement.style; s.letterSpacing = '.12em'; s.wordSpacing = '.16em'; s.lineHeight = '1.5'; 1}`)
	fits("text that is set wider", 320)
	eval[int](p, `document.documentElement.removeAttribute('style'), 1`)
	p.do(p.device(true, false))
	eval[int](p, `document.documentElement.style.fontSize = '200%', 1`)
	fits("text of twice the size", 375)
	eval[int](p, `document.documentElement.removeAttribute('style'), 1`)
	moving := eval[int](p, `[...document.querySelectorAll('*')].filter(e => { const s = getComputedStyle(e);
		return s.animationName !== 'none' || s.transitionDuration !== '0s' || s.scrollBehavior !== 'auto'; }).length`)
	if moving != 0 {
		p.t.Errorf("%s: %d elements move", name, moving)
	}
}

// errorsLeadToFields holds the list of what is wrong to its fields: it has the
// focus, each link leads to the field, and the field says the same of itself.
// wrongs is how many things are wrong.
func (p *person) errorsLeadToFields(wrongs int) {
	p.t.Helper()
	if focus := eval[string](p, `document.activeElement.id`); focus != "errors" {
		p.t.Errorf("the focus is on %q, not on what is wrong", focus)
	}
	wrong := eval[string](p, `[...document.querySelectorAll('#errors a')].filter(a => {
		a.click();
		const f = document.activeElement, says = (f.getAttribute('aria-describedby') || '').split(' ').map(id => document.getElementById(id)?.textContent);
		return '#' + f.id !== a.getAttribute('href') || f.getAttribute('aria-invalid') !== 'true' || !says.includes(a.textContent);
	}).map(a => a.outerHTML).join('\n')`)
	if n := eval[int](p, `document.querySelectorAll('#errors a').length`); wrong != "" || n != wrongs {
		p.t.Errorf("%d links, and these do not lead to a field that says the same:\n%s", n, wrong)
	}
}

// TestPage_IsSignedByKeyboardAlone signs without a mouse. Each stop is in the order of the
// page, can be seen, and shows that it has the focus.
func TestPage_IsSignedByKeyboardAlone(t *testing.T) {
	t.Parallel()
	x, p := newTown(t), newTab(t)
	l := x.create(2)
	p.do(chromedp.Navigate(l.link))
	var stops []string
	for range 12 {
		p.do(chromedp.KeyEvent(kb.Tab))
		stops = append(stops, eval[string](p, `{const e = document.activeElement; e.id || e.value || e.getAttribute('href')?.split('?')[0].split('/').pop() || e.localName}`))
		p.focusShows(stops[len(stops)-1])
	}
	want := []string{"", "#sign", "letter.pdf", "name", "title", "authority", "statements", "consent", "clear", "sign", "summary", "body"}
	want[0] = stops[0] // the other language
	if !slices.Equal(stops, want) {
		t.Errorf("the focus goes\n%s, want\n%s", strings.Join(stops, " "), strings.Join(want, " "))
	}

	p.do(chromedp.Navigate(l.link), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter)) // to the form
	p.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("Olivia Owner"), chromedp.KeyEvent(kb.Tab))
	for range 3 {
		p.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(" "))
	}
	if form := eval[string](p, `document.getElementById('name').value + document.querySelectorAll(':checked').length`); form != "Olivia Owner3" {
		t.Fatalf("the form has %q", form)
	}
	p.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab))
	if value := eval[string](p, `document.activeElement.value`); value != "sign" {
		t.Fatalf("the focus is on %q, not on the button that signs", value)
	}
	p.click(signs)
	p.reads("Thank you, the letter is signed")
}

// TestPage_IsDeclinedByKeyboardAlone says without a mouse that somebody else is the
// right person: each stop shows that it has the focus, and so does the button of
// the page that says what will happen.
func TestPage_IsDeclinedByKeyboardAlone(t *testing.T) {
	t.Parallel()
	x, p := newTown(t), newTab(t)
	l := x.create(1)
	p.do(chromedp.Navigate(l.link))
	stop := func(want string) {
		t.Helper()
		for range 30 {
			p.do(chromedp.KeyEvent(kb.Tab))
			if eval[string](p, `{const e = document.activeElement; e.id || e.value || e.localName}`) == want {
				p.focusShows(want)
				return
			}
		}
		t.Fatalf("the focus does not come to %s", want)
	}
	stop("summary")
	p.do(chromedp.KeyEvent(kb.Enter))
	for _, id := range []string{"reason", "declines", "decline", "person"} {
		stop(id)
	}
	p.do(chromedp.KeyEvent("Jane Doe"))
	stop("wrong-person")
	p.do(chromedp.KeyEvent(" "))
	stop("not-me")
	p.click(notMe)
	p.reads("Are you not the right person?", "Jane Doe")
	stop("yes")
	p.click(confirms)
	p.reads("Thank you for telling us")
}

// focusShows fails where nobody can see what has the focus.
func (p *person) focusShows(name string) {
	p.t.Helper()
	seen := eval[string](p, `{const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
		e === document.body ? '' : (s.outlineStyle === 'none' || parseFloat(s.outlineWidth) < 2 ? 'has no outline ' : '') +
			(r.bottom <= 0 || r.top >= innerHeight ? 'is out of sight' : '')}`)
	if seen != "" {
		p.t.Error(fmt.Sprintf("%s %s", name, seen))
	}
}
