package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The pictures are what the figures say, well-formed and small.
func TestDraw_DocsHaveTheFigures(t *testing.T) {
	dir := t.TempDir()
	if err := draw("../results", dir); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil || len(names) != 3 {
		t.Fatalf("drew %v: %v", names, err)
	}
	for _, name := range names {
		svg, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for dec := xml.NewDecoder(strings.NewReader(string(svg))); ; {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if len(svg) > 20<<10 || strings.Contains(string(svg), "NaN") {
			t.Errorf("%s has %d bytes, must have at most 20,480 and no NaN", filepath.Base(name), len(svg))
		}
		shown, err := os.ReadFile(filepath.Join("../../docs/images", filepath.Base(name)))
		if err != nil || string(shown) != string(svg) {
			t.Errorf("docs/images/%s is not what bench/results says (%v); run make plots", filepath.Base(name), err)
		}
	}
}
