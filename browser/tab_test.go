package browser

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// person is a tab of a browser.
type person struct {
	t   *testing.T
	ctx context.Context
}

// startBrowser starts a browser with an empty profile.
func startBrowser(profile string) (browser context.Context, stop func(), err error) {
	path := os.Getenv("CHROME")
	if path == "" {
		path = "chromium-headless-shell" // Debian's; without the windows of chromium it takes a fraction of the time
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(profile), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("lang", "en-US"))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	browser, cancel := chromedp.NewContext(allocator)
	return browser, func() { cancel(); end() }, chromedp.Do(browser) // starts it; this call may have no limit
}

// newTab opens a tab, which closes when the test ends.
func newTab(t *testing.T) *person {
	t.Helper()
	ctx, cancel := chromedp.NewContext(sharedBrowser)
	t.Cleanup(cancel)
	p := &person{t, ctx}
	if err := chromedp.Do(ctx); err != nil { // opens it; this call may have no limit either
		t.Fatal(err)
	}
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	}), p.device(false, false))
	return p
}

// patience is for a machine that is busy with other things.
const patience = 3 * time.Minute

// do runs steps.
func (p *person) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// device makes the tab a phone's or a desktop's, light or dark.
func (p *person) device(phone, dark bool) chromedp.Action[chromedp.Void] {
	wide, high := int64(1000), int64(800)
	if phone {
		wide, high = 375, 812
	}
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	return chromedp.Steps(chromedp.EmulateViewport(wide, high), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// eval is what a script says on the page.
func eval[T any](p *person, script string, options ...chromedp.EvaluateOption) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, options...))
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// click clicks what leads to another page, and waits until that is there. The
// page does it itself: chromedp 0.23.0 waits in vain for the answer to a mouse
// event that takes the page away.
func (p *person) click(selector string) {
	p.t.Helper()
	p.leave(fmt.Sprintf("setTimeout(() => document.querySelector(%q).click()) && 1", selector)) // answered before the page goes
}

// press is click where no script runs.
func (p *person) press(selector string) {
	p.t.Helper()
	p.leave(fmt.Sprintf("document.querySelector(%q).click(), 1", selector))
}

// leave runs what takes the page away, and waits for the next.
func (p *person) leave(script string) {
	p.t.Helper()
	eval[any](p, `document.documentElement.dataset.before = 1`)
	eval[int](p, script)
	p.do(chromedp.WaitVisible("html:not([data-before]) footer"))
}

// reads fails where the page does not say all of it.
func (p *person) reads(texts ...string) {
	p.t.Helper()
	page := eval[string](p, `document.body.innerText`)
	for _, s := range texts {
		if !strings.Contains(page, s) {
			p.t.Errorf("the page does not say %q:\n%s", s, page)
		}
	}
}
