// Day writes a made-up day of a team that hosts phone numbers, as events to
// publish, and with it how the day has to end.
//
//	day.jsonl          one event a line; a line with "after" is to be published
//	                   once an event stands on that subject
//	day.expected.json  how each document ends and which mails it owes
//
// The two follow from the scenes of this package alone. It shares no code with
// the program, so that it can stand witness against it: wherever an outcome
// would hang on who is quicker, the mail server or the next event, the next
// event waits. The same program always writes the same bytes.
//
// Usage: go run ./examples/day examples
package main

//go:generate go run . ..

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: day DIRECTORY")
		os.Exit(2)
	}
	for name, content := range files() {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), content, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "day:", err)
			os.Exit(1)
		}
	}
}

// files is the day, and its end.
func files() map[string][]byte {
	d := play()
	var events bytes.Buffer
	enc := json.NewEncoder(&events)
	enc.SetEscapeHTML(false)
	for _, l := range d.inOrder() {
		must(enc.Encode(l))
	}
	end, err := json.MarshalIndent(d.end(), "", "  ")
	must(err)
	return map[string][]byte{"day.jsonl": events.Bytes(), "day.expected.json": append(end, '\n')}
}

// must holds for values that JSON can always say.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
