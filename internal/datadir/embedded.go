package datadir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"countersign/internal/config"
	"countersign/internal/natsd"
	"countersign/internal/private"
	"countersign/workflow"
)

// StartNATS starts the embedded server on the log in the data directory. listen is
// as natsd.Options have it. A server that listens requires the token that is
// returned, also from clients in this process. It fails as natsd.Start does, and if
// the token cannot be read or made.
func StartNATS(cfg config.Config, listen string, logger *slog.Logger) (_ *natsd.Server, token string, err error) {
	if listen != "" {
		if token, err = makeToken(cfg); err != nil {
			return nil, "", err
		}
	}
	server, err := natsd.Start(natsd.Options{
		StoreDir: storeDir(cfg), Listen: listen, Token: token, Name: "countersign",
		SyncAlways: cfg.NATSSync == 0, SyncInterval: cfg.NATSSync, Logger: logger,
	})
	return server, token, err
}

// storeDir is where the embedded server keeps the log.
func storeDir(cfg config.Config) string { return filepath.Join(cfg.DataDir, "nats") }

// HasLog reports whether an embedded server has ever kept a log in the data
// directory. It holds too if this process may not look.
func HasLog(cfg config.Config) bool { return private.Exists(storeDir(cfg)) }

// addressFile holds the address at which the embedded server of the worker that
// runs on the data directory listens, or natsd.Off.
func addressFile(cfg config.Config) string { return filepath.Join(cfg.DataDir, "nats-address") }

// WriteAddress writes down the address at which commands reach the embedded server,
// "" if it does not listen. EmbeddedAt reads it.
func WriteAddress(cfg config.Config, address string) error {
	if address == "" {
		address = natsd.Off
	}
	if err := private.Replace(addressFile(cfg), []byte(address+"\n")); err != nil {
		return fmt.Errorf("write the address of the NATS server: %w", err)
	}
	return nil
}

const (
	maxTokenLen = 1 << 10 // bytes, of the file
	minTokenLen = 16      // characters
)

// makeToken returns the token of the embedded server, "" if it wants none. It
// makes the file if there is none.
func makeToken(cfg config.Config) (string, error) {
	token, err := readToken(cfg)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	token = rand.Text() + rand.Text()
	if err := private.Replace(cfg.NATSTokenFile, []byte(token+"\n")); err != nil {
		return "", fmt.Errorf("make the token of the NATS server: %w; check the directory's owner and permissions, or name another file with --nats-token-file", err)
	}
	return token, nil
}

// readToken returns the token of the embedded server, "" if it wants none. It
// fails with fs.ErrNotExist if there is no file. The error never quotes it.
func readToken(cfg config.Config) (string, error) {
	if cfg.NATSTokenFile == "" {
		return "", nil
	}
	data, err := private.Read(cfg.NATSTokenFile, maxTokenLen)
	token := strings.TrimSpace(string(data))
	if err == nil && (len(token) < minTokenLen || strings.ContainsFunc(token, notInToken)) {
		err = fmt.Errorf("a token must have at least %d letters and digits; remove the file to have one made at the next start", minTokenLen)
	}
	if err != nil {
		return "", fmt.Errorf("read the token of the NATS server, %s: %w", cfg.NATSTokenFile, err)
	}
	return token, nil
}

// notInToken reports whether a character would have to be escaped in a URL.
func notInToken(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
}

// EmbeddedAt returns the URL and the token of the embedded server that the
// worker on the data directory runs. It fails with workflow.ErrUnavailable if
// none runs: what listens at an address of the past may be another program, and
// must not get the token. It fails with ErrNotListening if the server takes no
// connections from other processes.
func EmbeddedAt(cfg config.Config) (url, token string, err error) {
	if !HasLog(cfg) { // no worker ever embedded a server here: countersign dev may run, on a directory of its own
		if cfg.NATSListen == "" {
			return "", "", ErrNotListening
		}
		return "nats://" + cfg.NATSListen, "", nil
	}
	locked, err := InUse(cfg.DataDir)
	if err == nil && !locked {
		return "", "", noWorker(cfg)
	}
	data, err := private.Read(addressFile(cfg), maxTokenLen)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", noWorker(cfg)
	}
	address := strings.TrimSpace(string(data))
	switch {
	case err != nil:
		return "", "", fmt.Errorf("find the NATS server of the worker on %s: %w; run this as the worker's user, or name the server with --nats-url", cfg.DataDir, err)
	case address == natsd.Off:
		return "", "", ErrNotListening
	}
	token, err = readToken(cfg)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", "", fmt.Errorf("%w; run this as the worker's user", err)
	case err != nil && !errors.Is(err, fs.ErrNotExist): // without a file the server may want none, as that of countersign dev
		return "", "", err
	}
	return "nats://" + address, token, nil
}

// ErrNotListening means that no command can reach the embedded server, because the
// settings say so.
var ErrNotListening = errors.New("nats-listen is off, so that no command can reach the embedded server: let it listen, or name another with --nats-url")

func noWorker(cfg config.Config) error {
	return fmt.Errorf("%w: no worker with an embedded NATS server runs on the data directory %s: start one, or give the worker's --data-dir or the server's --nats-url", workflow.ErrUnavailable, cfg.DataDir)
}

// CheckFiles fails with private.ErrOpen if other users can read or change the files
// that a worker reads again while it runs. The files need not be there.
func CheckFiles(cfg config.Config) error {
	if err := private.CheckFile(cfg.AccountsFile); errors.Is(err, private.ErrOpen) {
		return fmt.Errorf("the accounts file %s cannot be used: %w", cfg.AccountsFile, err)
	}
	return nil
}

// RemoveAddress removes what WriteAddress wrote, if there is anything.
func RemoveAddress(cfg config.Config) { _ = os.Remove(addressFile(cfg)) }
