package house

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var shrink = flag.Bool("shrink", false, "remove from "+exceptionsFile+" the lines that are not needed any more")

const exceptionsFile = "house_exceptions.txt"

// rule is one rule of the house.
type rule struct {
	name string // in house_exceptions.txt
	fix  string // what to do about a finding
	find func(*tree) []finding
}

// finding is one place that breaks a rule. The place has no line number and no
// folder, so that an exception still fits when code moves.
type finding struct {
	place string
	where string // file and line, or the package
	what  string // what is wrong there
}

var rules = []rule{
	{"function-length", "split it: a function has at most 60 lines; the tables of a test do not count", longFunctions},
	{"file-length", "split it by what is in it: a file has at most 400 lines", longFiles},
	{"interface-size", "declare a smaller interface where it is used: an interface has at most 3 methods", largeInterfaces},
	{"package-files", "split the package: it has at most 20 files without tests", largePackages},
	{"command-lines", "move the code out of package main: cmd/countersign has at most 2,000 lines without tests", commandLines},
	{"command-imports", "move the code to the package that owns the data: cmd/countersign has no SQL", commandImports},
	{"contract-imports", "remove the import: upstream services import events, and all that it needs comes with it", contractImports},
	{"package-doc", "write a package comment: what the package is for, and what it promises", packagesWithoutDoc},
	{"exported-doc", "write a doc comment: what it promises, and when it fails", exportedWithoutDoc},
	{"clock", "take the time as an argument: replicas must decide alike, by the log's time", clocks},
	{"sleep", "wait for a state, with a deadline; or let time pass in testing/synctest", sleeps},
	{"skip", "fail, and say what the machine lacks: a skipped test looks like one that passed", skips},
	{"log-key", "name a key as the others are: err for an error, lower-case words joined by hyphens", logKeys},
	{"log-duration", "log a text with its unit, d.String(): JSON has a bare number of nanoseconds", logDurations},
	{"word", "use plain words; CONTRIBUTING.md lists what to say instead", words},
	{"test-name", "name it Test<Unit> or Test<Unit>_<Case>: the unit is a function, type, method, type and method, package or command under test", testNames},
	{"named-test", "write the name that the test has now", namedTests},
}

// TestRules holds the repository to every rule.
func TestRules(t *testing.T) {
	repository := load(t)
	excepted := readExceptions(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			broken := map[string]bool{}
			for _, f := range r.find(repository) {
				broken[f.place] = true
				if !excepted[r.name+" "+f.place] {
					t.Errorf("%s: %s; %s\n(house_exceptions.txt has no line: %s %s)", f.where, f.what, r.fix, r.name, f.place)
				}
			}
			for line := range excepted {
				place, ok := strings.CutPrefix(line, r.name+" ")
				switch {
				case !ok || broken[place]:
				case *shrink:
					delete(excepted, line)
				default:
					t.Errorf("no exception is needed any more; remove this line from house_exceptions.txt, or run go test ./internal/test/house -shrink: %s", line)
				}
			}
		})
	}
	if *shrink {
		text := strings.Join(slices.Sorted(maps.Keys(excepted)), "\n") + "\n"
		if err := os.WriteFile(exceptionsFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// readExceptions reads the lines of house_exceptions.txt.
func readExceptions(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(exceptionsFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		name, _, _ := strings.Cut(line, " ")
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.name == name }) {
			t.Errorf("%s: %q begins with no rule's name", exceptionsFile, line)
		}
		if lines[line] {
			t.Errorf("%s: the line %q is there twice", exceptionsFile, line)
		}
		lines[line] = true
	}
	return lines
}

// check says which places of a planted repository break a rule.
func check(t *testing.T, name string, planted *tree) []string {
	t.Helper()
	i := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
	if i < 0 {
		t.Fatalf("no rule is named %s", name)
	}
	var places []string
	for _, f := range rules[i].find(planted) {
		if f.where == "" || f.what == "" {
			t.Errorf("a finding does not say where and what: %+v", f)
		}
		places = append(places, f.place)
	}
	return places
}

// plantings are small repositories, and the places in them that break a rule.
// Each rule's file adds its own.
type planting struct {
	rule  string
	name  string
	files map[string]string // path to source
	want  []string
}

// TestRules_NoticeViolations plants violations of every rule, and what is
// nearly one.
func TestRules_NoticeViolations(t *testing.T) {
	all := slices.Concat(shapePlantings, docPlantings, timePlantings, logPlantings, wordPlantings, namePlantings)
	for _, p := range all {
		t.Run(p.rule+"/"+p.name, func(t *testing.T) {
			if diff := cmp.Diff(p.want, check(t, p.rule, plant(t, p.files))); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, r := range rules {
		caught := func(p planting) bool { return p.rule == r.name && len(p.want) > 0 }
		passed := func(p planting) bool { return p.rule == r.name && len(p.want) == 0 }
		if !slices.ContainsFunc(all, caught) || !slices.ContainsFunc(all, passed) {
			t.Errorf("plant a violation of %s, and something near it that is none", r.name)
		}
	}
}

// longSource is a file with a function of so many lines, and a blank first body line.
func longSource(lines int) string {
	return fmt.Sprintf("package x\n\nfunc long() {%s}\n", strings.Repeat("\n", lines-1))
}
