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
