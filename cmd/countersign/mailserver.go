package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"countersign/internal/mail"
	"countersign/internal/relay"
)

func (w *worker) mailPool() (*mail.Pool, error) {
	server, err := mail.ParseURL(string(w.cfg.SMTPURL))
	if err != nil {
		return nil, fmt.Errorf("--smtp-url: %w", err)
	}
	w.mailServer = server
	c := mail.Config{
		Server: server, From: w.cfg.MailFrom, ReplyTo: w.cfg.MailReplyTo, ReturnPath: w.cfg.MailReturnPath,
		Pool: w.cfg.MailPool, Link: w.link, HELO: w.cfg.MailHELO, Now: w.now, Logger: w.logger,
		TokenFile: w.cfg.SMTPTokenFile, TokenCommand: string(w.cfg.SMTPTokenCommand),
	}
	if c.TLS, err = mailTLS(w.cfg.SMTPCA); err != nil {
		return nil, fmt.Errorf("--smtp-ca: %w", err)
	}
	if w.cfg.DKIMDomain != "" {
		c.DKIM = &mail.DKIM{Domain: w.cfg.DKIMDomain, Selector: w.cfg.DKIMSelector, KeyFile: w.cfg.DKIMKey}
	}
	return mail.New(c)
}

// mailTLS trusts the authorities in a PEM file; nil for those of the system.
func mailTLS(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate (PEM) that can be read", file)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// mailTrouble is what keeps all mails of this worker waiting, if anything does.
func (w *worker) mailTrouble() (relay.Trouble, bool) {
	if mails := w.sending.Load(); mails != nil {
		return mails.Trouble()
	}
	return relay.Trouble{}, false
}
