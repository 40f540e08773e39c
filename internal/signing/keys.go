package signing

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"countersign/internal/config"
	"countersign/internal/letter"
	"countersign/internal/private"
	"countersign/internal/ticket"
)

// Keys are the keys of a running worker: those of links, and the one that seals
// letters. They may be used by several goroutines.
type Keys struct {
	Links *ticket.File // of links; it notices changes by itself

	cfg    config.Config
	logger *slog.Logger
	seal   atomic.Pointer[letter.Seal] // nil if it has not been made yet
}

// OpenKeys reads the keys, and makes none of them: those that are missing may have
// been lost. now is the machine's time of day, for the keys of links. It fails if
// the keys file cannot be read, or if it or another file of the settings is damaged.
func OpenKeys(cfg config.Config, now func() time.Time, logger *slog.Logger) (*Keys, error) {
	k := &Keys{cfg: cfg, logger: logger}
	if !private.Exists(cfg.KeysFile) {
		k.Links = ticket.OpenAbsent(cfg.KeysFile, now, logger)
		if cfg.SealCert == "" {
			return k, nil
		}
	} else {
		var err error
		if k.Links, err = ticket.Open(cfg.KeysFile, now, logger); err != nil {
			return nil, err
		}
	}
	if err := k.ReloadSeal(); err != nil && !errors.Is(err, ticket.ErrNoSeal) {
		return nil, err
	}
	return k, nil
}

// LoadSeal reads the key that seals letters, from the files that the settings
// name or from the keys file. It fails with ticket.ErrNoSeal if the keys file has
// none.
func LoadSeal(cfg config.Config) (letter.Seal, error) {
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
		return letter.Seal{}, errors.New("--seal-key: the key must be RSA or ECDSA to seal a PDF")
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

// ReloadSeal reads the key that seals letters again. Letters that are being signed
// keep the key that they began with. If it fails, the key that was read before
// stays in use.
func (k *Keys) ReloadSeal() error {
	seal, err := LoadSeal(k.cfg)
	if err != nil {
		return err
	}
	if old := k.seal.Swap(&seal); old != nil && !old.Certificate.Equal(seal.Certificate) {
		k.logger.Info("a new certificate seals letters", "expires", seal.Certificate.NotAfter)
	}
	return nil
}

// Missing reports whether keys are missing that Complete makes.
func (k *Keys) Missing() bool { return k.Links.Absent() || k.seal.Load() == nil }

// Check fails if the files of the keys cannot be read now. The keys that were read
// before stay in use.
func (k *Keys) Check() error {
	if err := k.Links.Reload(); err != nil {
		return err
	}
	if _, err := LoadSeal(k.cfg); err != nil {
		return fmt.Errorf("the seal that was read before stays in use: %w", err)
	}
	return nil
}

// ErrKeysLost means that keys are missing that documents need.
var ErrKeysLost = errors.New("keys are missing that documents need")

// Complete makes the keys that are missing. It fails with ErrKeysLost if documents
// need the ones that there were, unless replace is set.
func (k *Keys) Complete(ctx context.Context, letters *Letters, replace bool) error {
	if k.Links.Absent() {
		if err := k.makeLinkKeys(ctx, letters, replace); err != nil {
			return err
		}
	}
	if k.seal.Load() != nil {
		return nil
	}
	err := k.ReloadSeal() // an operator may have restored the file since
	if errors.Is(err, ticket.ErrNoSeal) {
		err = k.makeSeal(ctx, letters, replace)
	}
	return err
}

func (k *Keys) makeLinkKeys(ctx context.Context, letters *Letters, replace bool) error {
	out, err := letters.store.LinksOut(ctx)
	if err != nil {
		return err
	}
	sealed, err := letters.sealed(ctx)
	switch {
	case err != nil:
		return err
	case replace && out > 0:
		k.logger.Warn("--new-keys: links that were sent no longer work; countersign documents resend sends new ones",
			"documents", out, "file", k.cfg.KeysFile)
	case !replace && (out > 0 || sealed):
		return fmt.Errorf("%w: there is no keys file at %s. Without it the links of %d documents that wait for a signature do not work, nor do the links to download signed letters%s. Restore the file from a backup, copy it from another worker, or name the right one with --keys-file. To go on without it, start once with --new-keys, and send new links with countersign documents resend",
			ErrKeysLost, k.cfg.KeysFile, out, k.alsoTheSeal())
	}
	if err := k.Links.Make(); err != nil {
		return err
	}
	k.logger.Info("made the keys of signing links", "file", k.cfg.KeysFile)
	return nil
}

// alsoTheSeal says what else was in the keys file.
func (k *Keys) alsoTheSeal() string {
	if k.cfg.SealCert != "" {
		return ""
	}
	return ", and letters would be sealed with another certificate"
}

func (k *Keys) makeSeal(ctx context.Context, letters *Letters, replace bool) error {
	sealed, err := letters.sealed(ctx)
	switch {
	case err != nil:
		return err
	case sealed && replace:
		k.logger.Warn("--new-keys: letters are sealed with a new certificate from now on; those that were sealed before stay as valid as they were", "file", k.cfg.KeysFile)
	case sealed:
		return fmt.Errorf(`%w: the keys file %s has no "seal", and letters were sealed: readers who trust its certificate would not trust a new one. Restore the file from a backup, or copy it from another worker. To go on without it, start once with --new-keys, which makes a new key and certificate`,
			ErrKeysLost, k.cfg.KeysFile)
	}
	if err := ticket.MakeSeal(k.cfg.KeysFile, Provider(k.cfg)); err != nil {
		return err
	}
	k.logger.Info("made the key that seals letters", "file", k.cfg.KeysFile)
	return k.ReloadSeal()
}
