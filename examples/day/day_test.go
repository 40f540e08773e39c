package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestFiles_AreInStep(t *testing.T) {
	for name, want := range files() {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("examples/%s is not what this program writes; run make generate", name)
		}
	}
}
