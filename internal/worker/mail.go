package worker

import (
	"context"
	"fmt"

	"countersign/internal/config"
	"countersign/internal/delivery"
	"countersign/internal/mail"
	"countersign/internal/relay"
	"countersign/internal/signing"
	"countersign/internal/smtpurl"
	"countersign/internal/webhook"
	"countersign/workflow"
)

func (w *Worker) mailPool() (*mail.Pool, error) {
	server, err := smtpurl.Parse(string(w.cfg.SMTPURL))
	if err != nil {
		return nil, fmt.Errorf("--smtp-url: %w", err)
	}
	w.mailServer = server
	c := mail.Config{
		Server: server, From: w.cfg.MailFrom, ReplyTo: w.cfg.MailReplyTo, ReturnPath: w.cfg.MailReturnPath,
		Pool: w.cfg.MailPool, Link: w.links.Sign, HELO: w.cfg.MailHELO, Now: w.Now, Logger: w.logger,
		Hold:      w.cfg.MailInDoubt == config.Hold,
		TokenFile: w.cfg.SMTPTokenFile, TokenCommand: string(w.cfg.SMTPTokenCommand),
	}
	if c.TLS, err = webhook.Authorities(w.cfg.SMTPCA); err != nil {
		return nil, fmt.Errorf("--smtp-ca: %w", err)
	}
	if w.cfg.DKIMDomain != "" {
		c.DKIM = &mail.DKIM{Domain: w.cfg.DKIMDomain, Selector: w.cfg.DKIMSelector, KeyFile: w.cfg.DKIMKey}
	}
	return mail.New(c)
}

// mailTrouble returns what keeps all emails of this worker waiting, if anything does.
func (w *Worker) mailTrouble() (relay.Trouble, bool) {
	if mails := w.sending.Load(); mails != nil {
		return mails.Trouble()
	}
	return relay.Trouble{}, false
}

// sender lets the relay send through the pool.
type sender struct {
	*mail.Pool
	w *Worker
}

// Send implements relay.Sender.
func (s sender) Send(ctx context.Context, m workflow.Mail) delivery.Result {
	message, err := s.w.message(ctx, m)
	if err != nil { // an email that was sent without its letter could not be corrected
		return delivery.Result{Outcome: workflow.Deferred, Reply: "the signed letter cannot be fetched: " + err.Error()}
	}
	return s.Pool.Send(ctx, message)
}

// message is an email with the signed letter, or with a link that only downloads
// the letter.
func (w *Worker) message(ctx context.Context, m workflow.Mail) (out mail.Message, err error) {
	out.Mail = m
	if m.Kind != workflow.MailSigned || m.About == nil || !w.letters.Kept(*m.About) {
		return out, nil
	}
	switch w.cfg.LetterDelivery {
	case config.Attach:
		out.Letter, err = w.letters.Fetch(ctx, *m.About)
	case config.Link:
		out.Download, out.Until = w.links.Download(m)
	}
	return out, err
}

// newLinks makes what writes the links of emails.
func (w *Worker) newLinks() *signing.Links {
	return &signing.Links{
		Origin: w.cfg.PublicURL, Lifetime: w.cfg.LinkLifetime, GiveUp: w.cfg.MailGiveUpAfter, Keys: w.keys.Links,
		Timers: func() workflow.Timers { return w.store.Position().Timers }, Logger: w.logger,
	}
}
