package house

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// units are what tests of one folder may be named after, in lower case.
type units struct {
	names    map[string]bool
	commands []string // a test may name several: documents list
	code     bool     // the folder has functions that are no tests
}

// add takes up names without what is neither letter nor digit: new-log is
// newlog.
func (u *units) add(names ...string) {
	u.names[lower(strings.Join(names, ""))] = true
}

var noWord = regexp.MustCompile(`[^\pL\pN]+`)

func lower(name string) string { return strings.ToLower(noWord.ReplaceAllString(name, "")) }

// declared adds what a file declares at its top: functions, types, variables,
// constants, and methods with and without their type.
func (u *units) declared(f *file, wanted func(string) bool) {
	for _, d := range f.syntax.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if !wanted(d.Name.Name) {
				continue
			}
			u.code = u.code || !f.test
			u.add(d.Name.Name)
			u.add(receiver(d), d.Name.Name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if wanted(s.Name.Name) {
						u.add(s.Name.Name)
					}
				case *ast.ValueSpec:
					for _, name := range s.Names {
						if wanted(name.Name) {
							u.add(name.Name)
						}
					}
				}
			}
		}
	}
}

// uses adds the commands that a file makes.
func (u *units) uses(f *file) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		key, ok := pair.Key.(*ast.Ident)
		value, text := pair.Value.(*ast.BasicLit)
		if ok && text && strings.EqualFold(key.Name, "use") {
			use, _ := strconv.Unquote(value.Value)
			word, _, _ := strings.Cut(use, " ")
			u.commands = append(u.commands, lower(word))
		}
		return true
	})
}

// has reports whether a test may be named after unit.
func (u *units) has(unit string) bool {
	unit = lower(unit)
	return u.names[unit] || len(u.commands) > 0 &&
		regexp.MustCompile("^(command)?("+strings.Join(u.commands, "|")+")+$").MatchString(unit)
}

// testName parts a test's name into its kind, its unit and the rest.
var testName = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)(\P{Ll}[^_]*)(?:_.*)?$`)

// testNames finds tests whose names do not begin with what they test. A folder
// without functions of its own tests those of other packages: there, a unit may
// also be what its tests declare, a test file, a package of ours that the file
// imports, or a name that such a package exports. A file that is not Go is a unit of the
// tests beside it and, in the root, docs and deploy, of every test.
func testNames(of *tree) (found []finding) {
	folders, exported, inTests := map[string]*units{}, map[string]*units{}, map[string]*units{}
	for _, f := range of.files {
		if folders[f.dir()] == nil {
			folders[f.dir()] = &units{names: map[string]bool{}}
			exported[f.dir()] = &units{names: map[string]bool{}}
			inTests[f.dir()] = &units{names: map[string]bool{}}
			folders[f.dir()].add(path.Base(path.Join(module, f.dir())))
		}
		if !f.test {
			folders[f.dir()].declared(f, func(string) bool { return true })
			exported[f.dir()].declared(f, ast.IsExported)
			folders[f.dir()].uses(f)
			continue
		}
		inTests[f.dir()].declared(f, func(name string) bool { return !testName.MatchString(name) })
		inTests[f.dir()].add(strings.TrimSuffix(f.base(), "_test.go"))
	}
	for _, f := range of.files {
		if !f.test {
			continue
		}
		for _, d := range f.syntax.Decls {
			d, ok := d.(*ast.FuncDecl)
			if !ok || d.Recv != nil || d.Name.Name == "TestMain" {
				continue
			}
			m := testName.FindStringSubmatch(d.Name.Name)
			if m == nil || folders[f.dir()].has(m[1]) || ofText(of, f.dir(), m[1]) {
				continue
			}
			if !folders[f.dir()].code && (inTests[f.dir()].has(m[1]) || borrowed(f, exported).has(m[1])) {
				continue
			}
			found = append(found, finding{d.Name.Name, f.where(d), fmt.Sprintf("nothing that %s tests is named %s", d.Name.Name, m[1])})
		}
	}
	return found
}

// ofText reports whether a test in a folder may be named after a file that is
// not Go: users.conf in deploy/nats is Users and NATSUsers.
func ofText(of *tree, dir, unit string) bool {
	for _, t := range of.texts {
		folder, base, _ := path.Dir(t.path), path.Base(t.path), 0
		top, _, _ := strings.Cut(folder, "/")
		if folder != dir && top != "." && top != "docs" && top != "deploy" {
			continue
		}
		name := strings.TrimSuffix(base, path.Ext(base))
		for _, n := range []string{name, path.Base(folder) + name, folder + name, folder} {
			if lower(n) == lower(unit) {
				return true
			}
		}
	}
	return false
}

// borrowed are the units of the packages of ours that a test file imports.
func borrowed(f *file, exported map[string]*units) *units {
	u := &units{names: map[string]bool{}}
	for _, spec := range f.syntax.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		dir, ours := strings.CutPrefix(name, module+"/")
		if !ours || exported[dir] == nil {
			continue
		}
		u.add(path.Base(dir))
		for name := range exported[dir].names {
			u.add(name)
		}
	}
	return u
}

// mentioned is a test's name in a text.
var mentioned = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[\p{Lu}\pN]\w*[…*]?`)

// namedTests finds documents, and comments, that name a test that is not there.
// The Makefile may have the beginning of a name, and so may others before … or *. CHANGELOG.md tells of the past.
func namedTests(of *tree) (found []finding) {
	declared := map[string]bool{}
	for _, f := range of.files {
		for _, d := range f.syntax.Decls {
			if d, ok := d.(*ast.FuncDecl); ok {
				declared[d.Name.Name] = true
			}
		}
	}
	look := func(name, where, text string) {
		for _, met := range mentioned.FindAllString(text, -1) {
			begin := strings.TrimRight(met, "…*")
			begins := func(test string) bool { return strings.HasPrefix(test, begin) }
			if declared[met] || (name == "Makefile" || begin != met) && slices.ContainsFunc(slices.Collect(maps.Keys(declared)), begins) {
				continue
			}
			found = append(found, finding{path.Base(name) + ": " + met, where, "no test is named " + met})
		}
	}
	for _, f := range of.files {
		for _, c := range f.syntax.Comments {
			look(f.path, f.where(c), c.Text())
		}
	}
	for _, t := range of.texts {
		if t.path != "CHANGELOG.md" {
			look(t.path, t.path, t.body)
		}
	}
	return found
}

var namePlantings = []planting{
	{"test-name", "units", map[string]string{
		"x/a.go": "package x\n\ntype store struct{}\n\nfunc (*store) DueMails() {}\n\nfunc parseURL() {}\n\nconst limit = 1\n",
		"x/a_test.go": `package x

func TestMain() {}
func TestX() {}
func TestStore() {}
func TestStoreDueMails_RetriesKeepQuarter() {}
func TestDueMails_Empty() {}
func FuzzParseURL() {}
func BenchmarkLimit_Once() {}
func (s suite) TestNothing() {}
func Testing() {}
`,
	}, nil},
	{"test-name", "commands", map[string]string{
		"cmd/a.go":      "package main\n\nfunc main() { x := cobra.Command{Use: \"new-log --yes\"}; y := c{use: \"list\"} }\n",
		"cmd/a_test.go": "package main\n\nfunc TestCommandNewLog_Asks() {}\nfunc TestNewLogList() {}\nfunc TestMain_Ends() {}\n",
	}, nil},
	{"test-name", "units of others", map[string]string{
		"events/a.go":  "package events\n\nfunc Decode() {}\n\nfunc hidden() {}\n",
		"x/doc.go":     "package x\n",
		"x/a_test.go":  "package x\n\nimport \"countersign/events\"\n\nfunc judge() {}\nfunc TestDecode() {}\nfunc TestEvents_Twice() {}\nfunc TestJudge_X() {}\nfunc TestHidden() {}\n",
		"y/b_test.go":  "package y\n\nfunc TestDecode_NotImported() {}\n",
		"z/z.go":       "package z\n\nfunc Z() {}\n",
		"z/z_test.go":  "package z\n\nimport \"countersign/events\"\n\nfunc helper() {}\nfunc TestDecode_HasCode() {}\nfunc TestHelper() {}\n",
		"w/doc.go":     "package w\n",
		"w/c_test.go":  "package w\n\nfunc world() {}\n",
		"w/c2_test.go": "package w\n\nfunc TestWorld_OfAnotherFile() {}\nfunc TestC2() {}\nfunc TestOther() {}\n",
	}, []string{"TestOther", "TestHidden", "TestDecode_NotImported", "TestDecode_HasCode", "TestHelper"}},
	{"test-name", "files", map[string]string{
		"README.md": "", "deploy/nats/users.conf": "", "internal/mail/b.html": "",
		"x/a_test.go": "package x\n\nfunc TestReadme_Table() {}\nfunc TestDeployNATS_Users() {}\nfunc TestUsers() {}\nfunc TestNATSUsers() {}\nfunc TestB_OfAnotherFolder() {}\n",
	}, []string{"TestB_OfAnotherFolder"}},
	{"named-test", "there", map[string]string{
		"Makefile": "go test -run 'TestDay|FuzzRead'", "docs/a.md": "`x.TestDay_Ends` in a TestTube? Testing; TestDay_*.", "CHANGELOG.md": "TestGone",
		"a_test.go": "package x\n\n// TestDay_Ends ends.\nfunc TestDay_Ends() {}\n\nfunc FuzzReadMail() {}\n\nfunc TestTube() {}\n",
	}, nil},
	{"named-test", "renamed", map[string]string{
		"Makefile": "go test -run 'TestDays'", "docs/a.md": "`x.TestDay`",
		"a_test.go": "package x\n\n// TestNight_Ends ends.\nfunc TestDay_Ends() {}\n",
	}, []string{"a_test.go: TestNight_Ends", "Makefile: TestDays", "a.md: TestDay"}},
	{"test-name", "sentences", map[string]string{
		"x/a.go":      "package x\n\ntype Store int\n\nfunc (Store) Get() {}\n",
		"x/a_test.go": "package x\n\nfunc TestTheStoreWaits() {}\nfunc TestStoreWaits() {}\nfunc TestGetsStore_X() {}\nfunc TestNo_Store() {}\n",
	}, []string{"TestTheStoreWaits", "TestStoreWaits", "TestGetsStore_X", "TestNo_Store"}},
}
