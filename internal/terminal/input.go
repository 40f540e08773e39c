package terminal

import (
	"io"
	"os"
)

// Open opens a file for reading, or standard input if the name is "-". It fails as
// os.Open does.
func Open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	return os.Open(name)
}

// ReadFile reads a file, or standard input if the name is "-". It fails as Open and
// reading do.
func ReadFile(name string) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
