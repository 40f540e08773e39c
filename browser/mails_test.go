package browser

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestMail_EachKindIsAccessible shows each kind of mail as internal/mail has written it, holds it
// to axe's rules and to a phone's width, and sees that it loads nothing.
func TestMail_EachKindIsAccessible(t *testing.T) {
	t.Parallel()
	p := newTab(t)
	files, err := filepath.Glob("../internal/mail/testdata/*.html")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d mails, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".html")
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		p.do(p.device(true, false), chromedp.Navigate((&url.URL{Scheme: "file", Path: path}).String()))
		p.axe(name, `{resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}`)
		if wide := eval[int](p, `document.documentElement.scrollWidth`); wide > 375 {
			t.Errorf("%s is %d pixels wide on a phone", name, wide)
		}
		if loaded := eval[int](p, `performance.getEntriesByType('resource').length`); loaded != 0 {
			t.Errorf("%s loads %d things", name, loaded)
		}
		p.do(p.device(true, true))
		p.contrast(name + ", dark")
		p.shootMail(name)
	}
}

// odd are mails of a kind that is there already, with something odd in them.
var odd = []string{"hostile_title", "many_orders", "no_orders", "order_without_number", "signed_undated"}

// shootMail takes pictures of each kind of mail; in Spanish on a phone alone.
func (p *person) shootMail(name string) {
	if os.Getenv("SHOTS") == "" || slices.Contains(odd, name) {
		return
	}
	p.t.Helper()
	spanish := strings.HasSuffix(name, "_es")
	for _, phone := range []bool{true, false} {
		for _, dark := range []bool{false, true} {
			if !spanish || phone && !dark {
				p.do(p.device(phone, dark))
				p.shoot("mail-"+strings.ReplaceAll(name, "_", "-"), true, phone, dark)
			}
		}
	}
}
