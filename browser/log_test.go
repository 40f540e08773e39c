package browser

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPage_ShowsLetterWithoutTheLog answers where the log is away: the letter is shown, nobody
// is told that they have signed, and once the log is back the same page signs.
func TestPage_ShowsLetterWithoutTheLog(t *testing.T) {
	t.Parallel()
	directory, broker := t.TempDir(), free(t)
	start := func() (x *town, stop func() error) {
		x, err := startTown(directory, "--nats-listen", broker)
		if err != nil {
			t.Fatal(err)
		}
		x.t = t
		stop = sync.OnceValue(x.stop)
		t.Cleanup(func() { _ = stop() })
		return x, stop
	}
	x, stop := start()
	signed, waiting := x.create(1), map[string]letter{} // before the other worker, which knows no mail server, may claim their mails
	for lang := range says {
		waiting[lang] = x.create(1)
	}
	p := newTab(t)
	p.do(chromedp.Navigate(signed.link))
	p.fill("Olivia Owner")
	p.click(signs)
	y := x.second()
	at := func(l letter) string { return strings.Replace(l.link, x.public, y.public, 1) }
	wait(t, "the second worker to have them", func() bool {
		return strings.Contains(page(t, at(signed)), "has been signed") && strings.Contains(page(t, at(waiting["en"])), `name="consent"`) && strings.Contains(page(t, at(waiting["es"])), `name="consent"`)
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	tabs := map[string]visit{}
	for lang, l := range waiting {
		v := visit{newTab(t), y, lang}
		v.open(at(signed) + "/letter.pdf")
		v.state("unavailable")
		v.open(at(l))
		v.fill("Olivia Owner")
		v.click(signs)
		v.state("busy")
		tabs[lang] = v
	}
	x, _ = start()
	for lang, v := range tabs {
		wait(t, "the page to sign", func() bool {
			v.click(signs)
			return !strings.Contains(eval[string](v.person, `document.body.innerText`), says[lang]["busy"])
		})
		v.reads(says[lang]["thanks"])
		x.registered(waiting[lang], 1)
	}
}

// free is an address that nothing listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// second starts another worker on the log of a town, with the town's keys, and
// returns the town with that worker's pages.
func (x *town) second() *town {
	x.t.Helper()
	y := *x
	y.public = free(x.t)
	y.process = exec.Command(program, "serve", "--data-dir", x.t.TempDir(), "--nats-url", x.nats, "--smtp-url", "smtp://127.0.0.1:1?tls=none",
		"--mail-from", "Countersign <loa@countersign.example>", "--listen", y.public, "--admin-listen", "127.0.0.1:0", "--public-url", "http://127.0.0.1:1",
		"--keys-file", filepath.Join(x.directory, "keys"), "--accounts-file", filepath.Join(x.directory, "accounts"), "--provider", "Example Messaging")
	if err := y.process.Start(); err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() {
		if err := y.stop(); err != nil {
			x.t.Error(err)
		}
	})
	wait(x.t, "the second worker", func() bool {
		c, err := net.Dial("tcp", y.public)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return &y
}
