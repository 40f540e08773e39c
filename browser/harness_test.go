package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// program is the built Countersign, and axe the text of axe-core.
var program, axe string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "countersign-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "countersign")
	build := exec.Command("go", "-C", "..", "build", "-o", program, "./cmd/countersign")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	rules, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v; make test installs it, by npm\n", err)
		return 1
	}
	axe = string(rules)
	return m.Run()
}

// town is countersign dev: a worker, NATS, and a mail catcher with an inbox.
type town struct {
	t                         *testing.T
	public, inbox, nats       string
	account, token, directory string
}

// newTown runs countersign dev until the test ends.
func newTown(t *testing.T, flags ...string) *town {
	t.Helper()
	x := &town{t: t, directory: t.TempDir()}
	args := append([]string{
		"dev", "--data-dir", x.directory, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0",
		"--provider", "Example Messaging", "--log-level", "info", "--log-format", "json", "--public-url", "http://127.0.0.1:1",
	}, flags...)
	cmd := exec.Command(program, args...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	up := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("countersign dev ended with %v", err)
		}
	})
	go x.listen(said, up)
	select {
	case <-up:
	case <-time.After(patience):
		t.Fatal("countersign dev does not come up")
	}
	return x
}

// listen finds out where everything is.
func (x *town) listen(said io.Reader, up chan<- struct{}) {
	find := map[*string]*regexp.Regexp{
		&x.public: regexp.MustCompile(`"public":"([^"]+)"`), &x.inbox: regexp.MustCompile(`inbox +(http://\S+/inbox)/`),
		&x.nats: regexp.MustCompile(`NATS +(nats://\S+)`), &x.account: regexp.MustCompile(`account (\S+)`), &x.token: regexp.MustCompile(`token (\S+)`),
	}
	for lines := bufio.NewScanner(said); lines.Scan(); {
		for to, expr := range find {
			if m := expr.FindStringSubmatch(lines.Text()); m != nil && *to == "" {
				*to = m[1]
				delete(find, to)
			}
		}
		if len(find) == 0 && up != nil {
			close(up)
			up = nil
		}
	}
}

// wait waits until done says so.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// publish sends an event as an upstream service does.
func (x *town) publish(px, what, id string, data any) {
	x.t.Helper()
	line, err := json.Marshal(map[string]any{
		"subject": "authdocs.v1." + x.account + "." + px + "." + what,
		"data": map[string]any{
			"specversion": "1.0", "id": id, "source": "/test", "datacontenttype": "application/json", "data": data,
			"type": map[bool]string{true: "authorization_document.created", false: "hosted_number_order.status_changed"}[what == "created"],
		},
	})
	if err != nil {
		x.t.Fatal(err)
	}
	cmd := exec.Command(program, "publish", "--nats-url", x.nats, "-")
	cmd.Stdin = strings.NewReader(string(line) + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		x.t.Fatalf("publish: %v\n%s", err, out)
	}
}

// create publishes a document with orders, and returns its sid and the link
// that its signer is mailed.
func (x *town) create(n, orders int) (px, link string) {
	x.t.Helper()
	px = fmt.Sprintf("PX%032x", n)
	var list []map[string]string
	for i := range orders {
		o := map[string]string{"sid": order(n, i), "phone_number": fmt.Sprintf("+1415555%04d", i)}
		if i == 2 {
			delete(o, "phone_number")
		}
		list = append(list, o)
	}
	x.publish(px, "created", "created-"+px, map[string]any{
		"address_sid": "AD00000000000000000000000000000001", "email": fmt.Sprintf("olivia.%d@example.com", n), "contact_title": "Owner",
		"contact_phone_number": "+14155550100", "hosted_number_orders": list,
	})
	path := regexp.MustCompile(`http://127\.0\.0\.1:1(/sign/\S+)`)
	wait(x.t, "the signature mail", func() bool {
		for _, m := range x.mails() {
			if strings.HasPrefix(m.MessageID, "<"+px+".1.signature.") {
				link = "http://" + x.public + path.FindStringSubmatch(m.Text)[1]
			}
		}
		return link != ""
	})
	wait(x.t, "the document to be signing", func() bool { return x.status(px) == "signing" })
	return px, link
}

func order(n, i int) string { return fmt.Sprintf("HR%016x%016x", n, i) }

// mailed is a mail in the inbox.
type mailed struct {
	ID     int
	Text   string
	Source string

	MessageID string `json:"message_id"`
}

func (x *town) mails() (list []mailed) {
	x.t.Helper()
	x.fetch(x.inbox+"/api/mails", &list)
	return list
}

func (x *town) fetch(url string, to any) {
	x.t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(to); err != nil {
		x.t.Fatalf("%s: %v", url, err)
	}
}

// api calls the REST API about a document, and returns its status.
func (x *town) api(method, px string, form url.Values) string {
	x.t.Helper()
	generation := "/v2/HostedNumber" // has no update
	if method == http.MethodPost {
		generation = "/HostedNumbers"
	}
	r, err := http.NewRequest(method, "http://"+x.public+generation+"/AuthorizationDocuments/"+px, strings.NewReader(form.Encode()))
	if err != nil {
		x.t.Fatal(err)
	}
	r.SetBasicAuth(x.account, x.token)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		x.t.Fatalf("%s %s: %s", method, px, resp.Status)
	}
	var doc struct{ Status any }
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		x.t.Fatal(err)
	}
	return fmt.Sprint(doc.Status)
}

func (x *town) status(px string) string { return x.api("GET", px, nil) }

// person is a tab of a browser.
type person struct {
	t   *testing.T
	ctx context.Context
}

// newBrowser starts a browser with an empty profile.
func newBrowser(t *testing.T) *person {
	t.Helper()
	path := os.Getenv("CHROME")
	if path == "" {
		path = "chromium-headless-shell" // Debian's; without the windows of chromium it takes a fraction of the time
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("lang", "en-US"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	p := &person{t, ctx}
	p.do(p.device(false, false))
	return p
}

// patience is for a machine that is busy with other things.
const patience = 3 * time.Minute

// do runs steps.
func (p *person) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if chromedp.FromContext(p.ctx).Target == nil { // the first call starts the browser and may have no limit
		if err := chromedp.Do(p.ctx); err != nil {
			p.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// device makes the tab a phone's or a desktop's, light or dark.
func (p *person) device(phone, dark bool) chromedp.Action[chromedp.Void] {
	wide, high := int64(1100), int64(800)
	if phone {
		wide, high = 390, 844
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
	eval[any](p, `document.documentElement.dataset.before = 1`)
	eval[int](p, fmt.Sprintf("setTimeout(() => document.querySelector(%q).click()) && 1", selector)) // answered before the page goes
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
