package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	netmail "net/mail"
	"slices"
	"strings"
	"time"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/eventlog"
	"countersign/internal/letter"
	"countersign/internal/letter/fonts"
	"countersign/internal/loa"
	"countersign/internal/mail"
	"countersign/internal/relay"
	"countersign/internal/ticket"
	"countersign/internal/web"
	"countersign/workflow"
)

// provider is who hosts the messages, as the letter names it.
func provider(cfg config.Config) string {
	if cfg.Provider != "" {
		return cfg.Provider
	}
	from, err := netmail.ParseAddress(cfg.MailFrom)
	if err != nil {
		return cfg.MailFrom // the pool refuses it
	}
	if from.Name != "" {
		return from.Name
	}
	return from.Address[strings.LastIndexByte(from.Address, '@')+1:]
}

// checkProvider fails if letters cannot print the provider's name: none of them
// could be signed.
func checkProvider(cfg config.Config) error {
	if r, ok := fonts.Missing(provider(cfg)); ok {
		return fmt.Errorf("--provider: letters cannot print the character %q (%U) of the provider's name, which is that of --mail-from if --provider is not set; set --provider to a name in Latin, Greek or Cyrillic letters", r, r)
	}
	return nil
}

// loadSeal reads the key that seals letters, from the files that the settings
// name or from the keys file.
func loadSeal(cfg config.Config) (letter.Seal, error) {
	if cfg.SealCert == "" {
		certificate, key, err := ticket.LoadSeal(cfg.KeysFile)
		return letter.Seal{Certificate: certificate, Key: key}, err
	}
	pair, err := tls.LoadX509KeyPair(cfg.SealCert, cfg.SealKey)
	if err != nil {
		return letter.Seal{}, fmt.Errorf("--seal-cert, --seal-key: %w", err)
	}
	switch pair.PrivateKey.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
	default:
		return letter.Seal{}, errors.New("--seal-key: a key that is neither RSA nor ECDSA cannot seal a PDF")
	}
	seal := letter.Seal{Certificate: pair.Leaf, Key: pair.PrivateKey.(crypto.Signer)}
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return letter.Seal{}, fmt.Errorf("--seal-cert: its chain: %w", err)
		}
		seal.Chain = append(seal.Chain, c)
	}
	return seal, nil
}

// letters writes letters and keeps those that are signed.
type letters struct{ *worker }

// content is the document's letter, unsigned.
func (l letters) content(doc workflow.Document, words loa.Words) letter.Content {
	return letter.Content{
		Words: words, Document: doc.SID, Created: doc.DateUpdated, Provider: provider(l.cfg),
		Subscriber: doc.Subscriber, Address: strings.Join(doc.ServiceAddress.Lines(), "\n"),
		Email: doc.Email, Title: doc.ContactTitle, Phone: doc.ContactPhoneNumber, Numbers: doc.Orders,
	}
}

// PDF implements web.Letters.
func (l letters) PDF(ctx context.Context, doc workflow.Document, words loa.Words) ([]byte, error) {
	if doc.Status != workflow.Signed {
		done, err := l.turn(ctx, doc.SID)
		if err != nil {
			return nil, err
		}
		defer done()
		return letter.Write(l.content(doc, words))
	}
	if !l.Kept(doc) {
		return nil, fmt.Errorf("%w: the letter of %s was not signed here", workflow.ErrNotFound, doc.SID)
	}
	pdf, err := l.fetch(ctx, doc)
	if errors.Is(err, workflow.ErrNotFound) { // it was there: that is our trouble, and not the visitor's
		err = fmt.Errorf("the signed letter of %s is gone from the object store: %w", doc.SID, workflow.ErrUnavailable)
	}
	return pdf, err
}

// Kept implements web.Letters.
func (l letters) Kept(doc workflow.Document) bool { return keptLetter(doc) }

// keptLetter reports whether a document's letter was signed on the page, and is
// in the object store: the page's own event says so, in its evidence.
func keptLetter(doc workflow.Document) bool {
	var evidence struct {
		Letter string `json:"letter"`
	}
	return doc.Status == workflow.Signed && doc.AskedBy.Writer == workflow.WriterPage && doc.LetterDigest != "" && json.Unmarshal(doc.Evidence, &evidence) == nil &&
		evidence.Letter == eventlog.LetterName(doc.SID, doc.LetterDigest)
}

// fetch reads a signed letter back, and makes sure that it is the one that was
// signed.
func (l letters) fetch(ctx context.Context, doc workflow.Document) ([]byte, error) {
	log := l.log.Load()
	if log == nil {
		return nil, fmt.Errorf("%w: the log has not been opened yet", workflow.ErrUnavailable)
	}
	pdf, err := log.Letter(ctx, eventlog.LetterName(doc.SID, doc.LetterDigest))
	if err == nil && sha256Of(pdf) != doc.LetterDigest {
		err = fmt.Errorf("letter of %s: its bytes do not have the digest %s", doc.SID, doc.LetterDigest)
	}
	return pdf, err
}

// message is a mail with what goes with it: the signed letter, or a link to
// download it that cannot do anything else.
func (l letters) message(ctx context.Context, m workflow.Mail) (out mail.Message, err error) {
	out.Mail = m
	if m.Kind != workflow.MailSigned || m.About == nil || !l.Kept(*m.About) {
		return out, nil
	}
	switch l.cfg.LetterDelivery {
	case config.Attach:
		out.Letter, err = l.fetch(ctx, *m.About)
	case config.Link:
		out.Download, out.Until = l.download(m)
	}
	return out, err
}

// Sign implements web.Letters.
func (l letters) Sign(ctx context.Context, doc workflow.Document, s web.Signature) (digest, name string, err error) {
	log := l.log.Load()
	if log == nil || l.seal.Load() == nil {
		return "", "", fmt.Errorf("sign the letter of %s: %w: the log has not been read to its end yet", doc.SID, workflow.ErrUnavailable)
	}
	pdf, err := l.signed(ctx, doc, s)
	if err != nil {
		return "", "", err
	}
	if pdf, err = l.apply(ctx, doc.SID, pdf, s.At); err != nil {
		return "", "", err
	}
	digest = sha256Of(pdf)
	name = eventlog.LetterName(doc.SID, digest)
	err = log.PutLetter(ctx, name, pdf)
	l.kept.putLetter()
	return digest, name, err
}

// maxLetters is how many letters are written at once. One takes about 20 MiB,
// most of it for the fonts, and some 20 ms of a processor.
const maxLetters = 2

// deskWait is how long a visitor waits until fewer letters are being written.
const deskWait = 5 * time.Second

// turn waits until fewer than maxLetters letters are being written; done lets
// the next one begin. It fails with workflow.ErrUnavailable after deskWait.
func (l letters) turn(ctx context.Context, sid workflow.SID) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, deskWait)
	defer cancel()
	if err := l.desk.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("write the letter of %s: %w: too many others are being written: %w", sid, workflow.ErrUnavailable, err)
	}
	return func() { l.desk.Release(1) }, nil
}

// signed writes the signed letter, without a seal.
func (l letters) signed(ctx context.Context, doc workflow.Document, s web.Signature) ([]byte, error) {
	done, err := l.turn(ctx, doc.SID)
	if err != nil {
		return nil, err
	}
	defer done()
	c := l.content(doc, s.Words)
	c.Signed = &letter.Signature{Name: s.Name, Title: s.Title, Drawn: s.Drawn, At: s.At, Zone: s.Zone}
	if c.Evidence, err = l.steps(ctx, doc, s); err != nil {
		return nil, err
	}
	return letter.Write(c)
}

// The time-stamp authority has this long for an answer to one question, and in
// all: the person who signs is waiting.
const (
	stampTry     = 2 * time.Second
	stampBetween = 300 * time.Millisecond
	stampWait    = 4 * time.Second
)

// apply seals a letter, with a time stamp where an authority is set. One that
// is away costs the letter its time stamp and not its signature: the person has
// signed, and the seal says so without another's word on when.
func (l letters) apply(ctx context.Context, sid workflow.SID, pdf []byte, at time.Time) ([]byte, error) {
	seal := l.seal.Load()
	if c := seal.Certificate; at.Before(c.NotBefore) || at.After(c.NotAfter) {
		l.logger.Error("a letter is sealed with a certificate that is not valid now", "document", sid, "from", c.NotBefore, "until", c.NotAfter)
	}
	if l.cfg.TSAURL != "" {
		ctx, cancel := context.WithTimeout(ctx, stampWait)
		defer cancel()
		authority := letter.Authority{URL: l.cfg.TSAURL, Try: stampTry, Between: stampBetween}
		sealed, err := seal.Apply(pdf, at, func(signature []byte) ([]byte, error) { return authority.Stamp(ctx, signature) })
		if !errors.Is(err, letter.ErrNotStamped) {
			return sealed, err
		}
		l.logger.Warn("a letter is sealed without a time stamp", "document", sid, "error", err)
	}
	return seal.Apply(pdf, at, nil)
}

// steps is what happened to the document, and the visit that signs it.
func (l letters) steps(ctx context.Context, doc workflow.Document, s web.Signature) ([]letter.Step, error) {
	history, err := l.store.History(ctx, doc.SID)
	if err != nil {
		return nil, err
	}
	kept := weighty(history, maxLines)
	var steps []letter.Step
	for _, h := range kept {
		step := letter.Step{At: h.Time, What: h.What, More: []string{fmt.Sprintf("log entry %d", h.Sequence)}}
		if h.Detail != "" {
			step.More = append(step.More, h.Detail)
		}
		steps = append(steps, step)
	}
	if left := len(history) - len(kept); left > 0 {
		steps = append(steps, letter.Step{At: s.At, What: fmt.Sprintf("%d more lines of the history are left out", left), More: []string{
			"lines about events that changed nothing go first, then those about updates, order reports and sending again; the log has all of them",
		}})
	}
	return append(steps, letter.Step{At: s.At, What: "signed on the signing page", More: []string{
		"IP address " + s.Address, "user agent " + s.Agent,
		fmt.Sprintf("statements and consent of version %s, language %s, ticked", loa.Version, s.Words.Language),
		"digest of what was shown " + s.Shown,
	}}), nil
}

// maxLines is how many lines of a document's history its letter has: about 15
// pages. A document with 50 people in cc that was sent three times has fewer.
const maxLines = 250

// weighty leaves lines out of a history until at most so many are left: the
// oldest of the least weight first. Of the weightiest it keeps the first and the
// last, for they tell how the letter came about and how it reached the signer.
func weighty(history []db.Happening, most int) []db.Happening {
	kept := slices.Clone(history)
	for least := 2; least > 0; least-- {
		excess := len(kept) - most
		kept = slices.DeleteFunc(kept, func(h db.Happening) bool {
			if excess <= 0 || weight(h.What) != least {
				return false
			}
			excess--
			return true
		})
	}
	if excess := len(kept) - most; excess > 0 {
		kept = slices.Delete(kept, most/2, most/2+excess)
	}
	return kept
}

// weight is 0 for what a letter must say of a document, and more for what
// matters less in it.
func weight(what string) int {
	switch what {
	case string(workflow.Turned), string(workflow.Parking), workflow.TypeDiscarded:
		return 2 // it changed nothing
	case workflow.TypeUpdated, workflow.TypeOrderStatusChanged, workflow.TypeResend:
		return 1 // others can say it as often as they like
	}
	return 0
}

func sha256Of(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// sender lets the relay send through the pool.
type sender struct {
	*mail.Pool
	letters letters
}

// Send implements relay.Sender.
func (s sender) Send(ctx context.Context, m workflow.Mail) relay.Result {
	message, err := s.letters.message(ctx, m)
	if err != nil { // sent without it, it could not be made good
		return relay.Result{Outcome: workflow.Deferred, Reply: "the signed letter cannot be fetched: " + err.Error()}
	}
	return relay.Result(s.Pool.Send(ctx, message))
}
