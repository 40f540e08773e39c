package main

import (
	"context"
	"errors"
	"fmt"

	"countersign/internal/private"

	"countersign/internal/ticket"
)

// openKeys reads the keys of links and of the seal, and makes none of them.
func (w *worker) openKeys() (err error) {
	if !private.Exists(w.cfg.KeysFile) {
		w.keys = ticket.OpenAbsent(w.cfg.KeysFile, wallClock, w.logger)
		if w.cfg.SealCert == "" {
			return nil
		}
	} else if w.keys, err = ticket.Open(w.cfg.KeysFile, wallClock, w.logger); err != nil {
		return err
	}
	if err := w.reloadSeal(w.cfg); !errors.Is(err, ticket.ErrNoSeal) {
		return err
	}
	return nil
}

// errKeysLost means that keys are missing that documents need.
var errKeysLost = errors.New("keys are missing that documents need")

// completeKeys makes the keys that are missing. It fails with errKeysLost if
// documents need the ones that there were, unless --new-keys was given.
func (w *worker) completeKeys(ctx context.Context) error {
	if w.keys.Absent() {
		if err := w.makeLinkKeys(ctx); err != nil {
			return err
		}
	}
	if w.seal.Load() != nil {
		return nil
	}
	err := w.reloadSeal(w.cfg) // somebody may have put the file there since
	if errors.Is(err, ticket.ErrNoSeal) {
		err = w.makeSeal(ctx)
	}
	return err
}

func (w *worker) makeLinkKeys(ctx context.Context) error {
	out, err := w.store.LinksOut(ctx)
	if err != nil {
		return err
	}
	sealed, err := w.sealedLetters(ctx)
	switch {
	case err != nil:
		return err
	case w.newKeys && out > 0:
		w.logger.Warn("--new-keys: the links of documents that are out do not work any more; countersign documents resend sends new ones",
			"documents", out, "file", w.cfg.KeysFile)
	case !w.newKeys && (out > 0 || sealed):
		return fmt.Errorf("%w: there is no keys file at %s. Without it the links of %d documents that wait for a signature do not work, nor do the links to download signed letters%s. Restore the file from a backup, copy it from another worker, or name the right one with --keys-file. To go on without it, start once with --new-keys, and send new links with countersign documents resend",
			errKeysLost, w.cfg.KeysFile, out, w.alsoTheSeal())
	}
	if err := w.keys.Make(); err != nil {
		return err
	}
	w.logger.Info("made the keys of signing links", "file", w.cfg.KeysFile)
	return nil
}

// alsoTheSeal says what else was in the keys file.
func (w *worker) alsoTheSeal() string {
	if w.cfg.SealCert != "" {
		return ""
	}
	return ", and letters would be sealed with another certificate"
}

func (w *worker) makeSeal(ctx context.Context) error {
	sealed, err := w.sealedLetters(ctx)
	switch {
	case err != nil:
		return err
	case sealed && w.newKeys:
		w.logger.Warn("--new-keys: letters are sealed with a new certificate from now on; those that were sealed before stay as valid as they were", "file", w.cfg.KeysFile)
	case sealed:
		return fmt.Errorf(`%w: the keys file %s has no "seal", and letters were sealed: readers who trust its certificate would not trust a new one. Restore the file from a backup, or copy it from another worker. To go on without it, start once with --new-keys, which makes a new key and certificate`,
			errKeysLost, w.cfg.KeysFile)
	}
	if err := ticket.MakeSeal(w.cfg.KeysFile, provider(w.cfg)); err != nil {
		return err
	}
	w.logger.Info("made the key that seals letters", "file", w.cfg.KeysFile)
	return w.reloadSeal(w.cfg)
}

// sealedLetters reports whether a letter was signed and sealed here.
func (w *worker) sealedLetters(ctx context.Context) (bool, error) {
	name, err := w.someLetter(ctx)
	return name != "", err
}
