package mail_test

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"countersign/internal/mail"
	"countersign/internal/mail/mailid"
	"countersign/workflow"
)

// dsnServer is a mail server that offers DSN, or does not, and writes down what
// the envelopes say.
type dsnServer struct {
	mu   sync.Mutex
	seen []string
	body []string
}

func (s *dsnServer) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, line)
}

func (s *dsnServer) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

func (s *dsnServer) Reset()        {}
func (s *dsnServer) Logout() error { return nil }

func (s *dsnServer) Mail(from string, o *smtp.MailOptions) error {
	s.note("from " + from + " ret " + string(o.Return) + " envid " + o.EnvelopeID)
	if strings.HasPrefix(from, "refused") {
		return &smtp.SMTPError{Code: 451, Message: "not now"}
	}
	return nil
}

func (s *dsnServer) Rcpt(to string, o *smtp.RcptOptions) error {
	var notify []string
	for _, n := range o.Notify {
		notify = append(notify, string(n))
	}
	s.note("to " + to + " notify " + strings.Join(notify, ",") + " orcpt " + string(o.OriginalRecipientType) + " " + o.OriginalRecipient)
	return nil
}

func (s *dsnServer) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.mu.Lock()
	s.body = append(s.body, string(b))
	s.mu.Unlock()
	return err
}

// startDSN starts it on a port of its own.
func startDSN(t *testing.T, offered bool) (*dsnServer, string) {
	t.Helper()
	s := &dsnServer{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return s, nil }))
	server.Domain, server.EnableDSN, server.ErrorLog = "mx.test", offered, quiet{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { _ = server.Close(); group.Wait() })
	return s, l.Addr().String()
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// thisMail is the id of the email that deliver sends.
const thisMail = "PX0123456789abcdef0123456789abcdef.1.signature.0"

func deliver(t *testing.T, c mail.Config, to ...string) {
	t.Helper()
	p := pool(t, c)
	for _, address := range to {
		m := mailOf(workflow.MailSignature, document())
		m.Recipient = address
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		r := p.Send(ctx, mail.Message{Mail: m})
		cancel()
		if r.Outcome != workflow.Accepted {
			t.Fatalf("%s: %+v", address, r)
		}
	}
}

// TestSend_EnvelopeNamesTheEmail sends to a server that offers DSN: each envelope
// says which email it is of and whom it was for, in xtext if need be.
func TestSend_EnvelopeNamesTheEmail(t *testing.T) {
	s, addr := startDSN(t, true)
	c := settings(t, addr)
	deliver(t, c, "owner@example.com", "o'hara+a=b@example.com", `"taro..yamada"@docomo.example.com`, `"a b+c=d"@example.com`)
	const from = "from loa@countersign.example ret HDRS envid " + thisMail
	want := []string{
		from, "to owner@example.com notify DELAY,FAILURE orcpt RFC822 owner@example.com",
		from, "to o'hara+a=b@example.com notify DELAY,FAILURE orcpt RFC822 o'hara+a=b@example.com",
		from, `to taro..yamada@docomo.example.com notify DELAY,FAILURE orcpt RFC822 "taro..yamada"@docomo.example.com`,
		from, `to a b+c=d@example.com notify DELAY,FAILURE orcpt RFC822 "a b+c=d"@example.com`,
	}
	got := s.lines()
	for i := range got {
		got[i] = strings.Replace(got[i], "FAILURE,DELAY", "DELAY,FAILURE", 1)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("envelopes (-want +got):\n%s", diff)
	}
	for _, body := range s.body {
		if !strings.Contains(body, "\r\nX-Countersign-Mail: "+thisMail+"\r\n") || strings.Contains(body, "ENVID") {
			t.Errorf("the email:\n%s", body)
		}
	}
}

// TestSend_EnvelopeIsPlainWithoutDSN sends to a server that does not offer DSN,
// and would refuse the parameters.
func TestSend_EnvelopeIsPlainWithoutDSN(t *testing.T) {
	s, addr := startDSN(t, false)
	deliver(t, settings(t, addr), "owner@example.com")
	if diff := cmp.Diff([]string{"from loa@countersign.example ret  envid ", "to owner@example.com notify  orcpt  "}, s.lines()); diff != "" {
		t.Errorf("envelopes (-want +got):\n%s", diff)
	}
}

// TestSend_ReturnPathNamesTheEmail sends from a return path with the mark of the
// email in it, and finds the id in it again, in upper case.
func TestSend_ReturnPathNamesTheEmail(t *testing.T) {
	s, addr := startDSN(t, true)
	c := settings(t, addr)
	c.ReturnPath = "bounces+{mail}@countersign.example"
	deliver(t, c, "owner@example.com")
	from, _, _ := strings.Cut(strings.TrimPrefix(s.lines()[0], "from "), " ")
	if local, _, _ := strings.Cut(from, "@"); !strings.HasPrefix(from, "bounces+cs") || !strings.HasSuffix(from, "@countersign.example") || len(local) > 64 {
		t.Fatalf("the return path is %s", from)
	}
	if got := mailid.Find(strings.ToUpper(from)); !slices.Equal(got, []workflow.MailID{thisMail}) {
		t.Errorf("the return path names %v", got)
	}
	c.ReturnPath = "a-long-mailbox-for-reports-on-mails+{mail}@countersign.example"
	deliver(t, c, "owner@example.com")
	if got := s.lines()[2]; !strings.HasPrefix(got, "from a-long-mailbox-for-reports-on-mails@countersign.example ") {
		t.Errorf("an id that does not fit: %s", got)
	}
}

// TestSend_EnvelopeOfARefusedEmailIsNotTheNextOnes sends after MAIL was refused.
func TestSend_EnvelopeOfARefusedEmailIsNotTheNextOnes(t *testing.T) {
	s, addr := startDSN(t, true)
	c := settings(t, addr)
	c.ReturnPath = "refused@countersign.example"
	p := pool(t, c)
	for range 2 {
		if r := send(t, p); r.Outcome != workflow.Deferred {
			t.Fatalf("%+v", r)
		}
	}
	for _, line := range s.lines() {
		if strings.Count(line, "envid "+thisMail) != 1 {
			t.Error(line)
		}
	}
}
