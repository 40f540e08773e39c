// Command contract writes the contract for services in other languages: a JSON
// Schema for each event's data and for the envelope, and an AsyncAPI document
// with all of them. What they say comes from the types and comments of package
// workflow and from the limits of package events; the same sources make the
// same files. It is run from the folder of its module:
//
//	go -C tools run ./contract ../docs
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unicode/utf8"

	"countersign/workflow"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "contract:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("want one argument, the folder to write to")
	}
	schemas, err := makeSchemas()
	if err != nil {
		return err
	}
	doc, err := asyncAPI(schemas)
	if err != nil {
		return err
	}
	folder := filepath.Join(args[0], "schemas")
	if err := os.RemoveAll(folder); err != nil { // a type that is gone leaves no schema behind
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, s := range schemas {
		if err := write(filepath.Join(folder, s.name+".json"), s.json); err != nil {
			return err
		}
	}
	return write(filepath.Join(args[0], "asyncapi.yaml"), doc)
}

func write(path string, data []byte) error {
	return os.WriteFile(path, data, 0o644)
}

// indented is v as JSON for people, with escapes for what they cannot see.
func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	var out []byte
	for _, r := range b.String() {
		if r < utf8.RuneSelf || workflow.Visible(r) {
			out = utf8.AppendRune(out, r)
		} else {
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out, err
}
