package house

import (
	"flag"
	"fmt"
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

// judge parts what a rule finds from what is excepted, and lists the exceptions
// of the rule that nothing needs any more.
func (r rule) judge(found []finding, excepted []string) (broken []finding, spare []string) {
	places := map[string]bool{}
	for _, f := range found {
		line := r.name + " " + f.place
		places[line] = true
		if !slices.Contains(excepted, line) {
			broken = append(broken, f)
		}
	}
	for _, line := range excepted {
		if strings.HasPrefix(line, r.name+" ") && !places[line] {
			spare = append(spare, line)
		}
	}
	return broken, spare
}

// exceptions reads the lines of house_exceptions.txt.
func exceptions(text string) (lines []string, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		name, _, _ := strings.Cut(line, " ")
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.name == name }) {
			return nil, fmt.Errorf("the line %q must begin with the name of a rule", line)
		}
		if slices.Contains(lines, line) {
			return nil, fmt.Errorf("the line %q is there twice; remove one", line)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// TestRules holds the repository to every rule.
func TestRules(t *testing.T) {
	text, err := os.ReadFile(exceptionsFile)
	if err != nil {
		t.Fatal(err)
	}
	excepted, err := exceptions(string(text))
	if err != nil {
		t.Fatalf("%s: %v", exceptionsFile, err)
	}
	repository, needed := load(t), excepted
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			broken, spare := r.judge(r.find(repository), excepted)
			for _, f := range broken {
				t.Errorf("%s: %s; %s\n(%s has no line: %s %s)", f.where, f.what, r.fix, exceptionsFile, r.name, f.place)
			}
			if *shrink {
				needed = slices.DeleteFunc(slices.Clone(needed), func(line string) bool { return slices.Contains(spare, line) })
				return
			}
			for _, line := range spare {
				t.Errorf("no exception is needed any more; remove this line from %s, or run go test ./internal/test/house -shrink: %s", exceptionsFile, line)
			}
		})
	}
	if *shrink {
		var lines strings.Builder
		for _, line := range needed {
			lines.WriteString(line + "\n")
		}
		if err := os.WriteFile(exceptionsFile, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJudge(t *testing.T) {
	found := []finding{{place: "a.go"}, {place: "b.go"}}
	broken, spare := rule{name: "clock"}.judge(found, []string{"clock b.go", "clock c.go", "sleep a.go"})
	if diff := cmp.Diff("[{a.go  }] [clock c.go]", fmt.Sprint(broken, spare)); diff != "" {
		t.Error(diff)
	}
}

func TestExceptions(t *testing.T) {
	if lines, err := exceptions("clock a.go\nsleep a.go\n"); err != nil || len(lines) != 2 {
		t.Errorf("read %q, %v", lines, err)
	}
	for _, text := range []string{"clock a.go\nclock a.go\n", "clocks a.go\n", "\n"} {
		if lines, err := exceptions(text); err == nil {
			t.Errorf("%q is read as %q", text, lines)
		}
	}
}

// check lists the places of a planted repository that break a rule.
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

// planting is a small repository, and the places in it that break a rule. The
// file of each rule has its own.
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

// longSource is a file with a function of so many lines.
func longSource(lines int) string {
	return fmt.Sprintf("package x\n\nfunc long() {%s}\n", strings.Repeat("\n", lines-1))
}
