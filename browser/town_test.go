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
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// program is the built Countersign, and axe the text of axe-core.
var program, axe string

// sharedTown and sharedBrowser are for every test that needs no other.
var (
	sharedTown    *town
	sharedBrowser context.Context
)

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
	if sharedTown, err = startTown(filepath.Join(dir, "data")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var stop func()
	if sharedBrowser, stop, err = startBrowser(filepath.Join(dir, "profile")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	stop()
	if err := sharedTown.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// town is countersign dev: a worker, NATS, and a mail catcher with an inbox.
type town struct {
	t                         *testing.T
	public, inbox, nats       string
	account, token, directory string

	process *exec.Cmd
}

// documents counts the documents of all tests, and makes each one's sid.
var documents atomic.Int64

// newTown is the town that tests share; with flags, one that runs with them
// until the test ends.
func newTown(t *testing.T, flags ...string) *town {
	t.Helper()
	x := sharedTown
	if flags != nil {
		var err error
		if x, err = startTown(t.TempDir(), flags...); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := x.stop(); err != nil {
				t.Error(err)
			}
		})
	}
	of := *x
	of.t = t
	return &of
}

func startTown(directory string, flags ...string) (*town, error) {
	x := &town{directory: directory}
	args := append([]string{
		"dev", "--data-dir", directory, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0",
		"--provider", "Example Messaging", "--letter-requires", "none", // a letter may lack a number
		"--log-level", "info", "--log-format", "json", "--public-url", "http://127.0.0.1:1",
	}, flags...)
	x.process = exec.Command(program, args...)
	said, err := x.process.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := x.process.Start(); err != nil {
		return nil, err
	}
	up := make(chan struct{})
	go x.listen(said, up)
	select {
	case <-up:
		return x, nil
	case <-time.After(patience):
		return nil, errors.Join(errors.New("countersign dev does not come up"), x.stop())
	}
}

// stop ends the town, as Ctrl-C does.
func (x *town) stop() error {
	_ = x.process.Process.Signal(os.Interrupt)
	if err := x.process.Wait(); err != nil {
		return fmt.Errorf("countersign dev ended with %w", err)
	}
	return nil
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
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for deadline := time.After(patience); !done(); {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("did not happen within %s: %s", patience, what)
		}
	}
}

// publish sends an event as an upstream service does.
func (x *town) publish(px, what, id string, data any) {
	x.t.Helper()
	kind := "authorization_document.created"
	switch {
	case strings.HasPrefix(what, "order."):
		kind = "hosted_number_order.status_changed"
	case what == "status":
		kind = "authorization_document.status_changed"
	}
	line, err := json.Marshal(map[string]any{
		"subject": "authdocs.v1." + x.account + "." + px + "." + what,
		"data": map[string]any{
			"specversion": "1.0", "id": id, "source": "/test", "type": kind, "datacontenttype": "application/json", "data": data,
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

// letter is a document that waits for its signature.
type letter struct {
	n        int
	px, link string
}

// create publishes a document with orders, and returns it with the link that
// its signer is mailed.
func (x *town) create(orders int) letter {
	x.t.Helper()
	l := letter{n: int(documents.Add(1))}
	l.px = fmt.Sprintf("PX%032x", l.n)
	var list []map[string]string
	for i := range orders {
		o := map[string]string{"sid": l.order(i), "phone_number": l.number(i), "current_carrier": "Pacific Voice"}
		if i == 2 {
			delete(o, "phone_number")
		}
		list = append(list, o)
	}
	x.publish(l.px, "created", "created-"+l.px, map[string]any{
		"address_sid": "AD00000000000000000000000000000001", "email": fmt.Sprintf("olivia.%d@example.com", l.n), "cc_emails": []string{"desk@example.com"},
		"contact_title": "Owner", "contact_phone_number": "+14155550100", "hosted_number_orders": list, "subscriber": "Owner & Daughters, Inc.",
		"service_address": map[string]string{"street": "100 Main Street", "city": "Oakland", "region": "CA", "postal_code": "94607", "country": "US"},
	})
	path := regexp.MustCompile(`http://127\.0\.0\.1:1(/sign/\S+)`)
	l.link = "http://" + x.public + path.FindStringSubmatch(x.mail(l, "signature").Text)[1]
	wait(x.t, "the document to be signing", func() bool { return x.status(l.px) == "signing" })
	return l
}

func (l letter) order(i int) string { return fmt.Sprintf("HR%016x%016x", l.n, i) }

// number is the made-up telephone number of an order. No other letter has it,
// because a number can be on one live document only: each letter has an area
// code of its own.
func (l letter) number(i int) string { return fmt.Sprintf("+1%03d555%04d", 612+l.n, 100+i) }

// shown is the number as the page writes it.
func (l letter) shown(i int) string { return fmt.Sprintf("(%03d) 555-%04d", 612+l.n, 100+i) }

// mail waits for the first mail of a kind about a letter.
func (x *town) mail(l letter, kind string) (m mailed) {
	x.t.Helper()
	wait(x.t, "the "+kind+" mail", func() bool {
		var list []mailed
		x.fetch(x.inbox+"/api/mails", &list)
		i := slices.IndexFunc(list, func(m mailed) bool { return strings.HasPrefix(m.MessageID, "<"+l.px+".1."+kind+".0@") })
		if i < 0 {
			return false
		}
		x.fetch(fmt.Sprintf("%s/api/mails/%d", x.inbox, list[i].ID), &m)
		return true
	})
	return m
}

// registered waits until as many orders of a letter are registered on the log.
func (x *town) registered(l letter, orders int) {
	x.t.Helper()
	var said struct{ History []struct{ What string } }
	count := func() (n int) {
		out, err := exec.Command(program, "documents", "show", l.px, "--json", "--data-dir", x.directory).Output()
		if err != nil {
			x.t.Fatalf("documents show: %v", err)
		}
		said.History = nil
		if err := json.Unmarshal(out, &said); err != nil {
			x.t.Fatal(err)
		}
		for _, step := range said.History {
			if step.What == "hosted_number_order.register" {
				n++
			}
		}
		return n
	}
	wait(x.t, fmt.Sprintf("%d registrations on the log", orders), func() bool { return count() >= orders })
	if n := count(); n != orders {
		x.t.Errorf("%d registrations stand on the log, want %d", n, orders)
	}
}

// mailed is a mail in the inbox.
type mailed struct {
	ID     int
	Text   string
	Source string

	MessageID string `json:"message_id"`
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
