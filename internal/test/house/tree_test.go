package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	root   = "../../.." // of the repository
	module = "countersign"

	plantedDeps = "the packages that events needs" // a name in planted sources: import paths, not a file
)

// tree is a repository as the rules see it.
type tree struct {
	files []*file
	texts []text
	deps  []string // import paths of all that package events needs
}

// file is one Go file.
type file struct {
	path      string // from the root, with slashes
	test      bool   // its name ends in _test.go
	generated bool
	lines     int
	fset      *token.FileSet
	syntax    *ast.File
	types     *types.Info // nil for tests, other modules and files that build tags leave out
}

func (f *file) dir() string              { return path.Dir(f.path) }
func (f *file) base() string             { return path.Base(f.path) }
func (f *file) where(n ast.Node) string  { return fmt.Sprintf("%s:%d", f.path, f.line(n.Pos())) }
func (f *file) line(pos token.Pos) int   { return f.fset.Position(pos).Line }
func (f *file) height(n ast.Node) int    { return f.line(n.End()) - f.line(n.Pos()) + 1 }
func (f *file) fallsUnder(d string) bool { return f.path == d || strings.HasPrefix(f.path, d+"/") }

// text is one file that people read and that is not Go.
type text struct {
	path, body string
}

// written are the endings of files whose words people read.
var written = []string{".md", ".yaml", ".html", ".js", ".txt", ".sql", ".conf", ".service", ".sysusers", "Makefile"}

// load reads the repository.
func load(t *testing.T) *tree {
	t.Helper()
	sources := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "node_modules", "testdata", "bin"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		wanted := func(ending string) bool { return strings.HasSuffix(name, ending) }
		if !wanted(".go") && !slices.ContainsFunc(written, wanted) || d.Name() == exceptionsFile {
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		name, err = filepath.Rel(root, name)
		sources[filepath.ToSlash(name)] = string(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out := plant(t, sources)
	for _, p := range goList(t) {
		if p.ImportPath == module+"/events" {
			out.deps = p.Deps
		}
	}
	if len(out.files) < 100 || len(out.texts) < 20 || len(out.deps) < 10 {
		t.Errorf("found only %d Go files, %d texts and %d packages that events needs", len(out.files), len(out.texts), len(out.deps))
	}
	return out
}

// plant makes a repository of some files. Files below planted/ have types, and
// so have those of the program that go build takes.
func plant(t *testing.T, sources map[string]string) *tree {
	t.Helper()
	out, fset := &tree{}, token.NewFileSet()
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		source := sources[name]
		if name == plantedDeps {
			out.deps = strings.Fields(source)
			continue
		}
		if !strings.HasSuffix(name, ".go") {
			out.texts = append(out.texts, text{name, source})
			continue
		}
		syntax, err := parser.ParseFile(fset, name, source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		out.files = append(out.files, &file{
			path: name, test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(syntax),
			lines: strings.Count(source, "\n"), fset: fset, syntax: syntax,
		})
	}
	typeCheck(t, out, fset)
	return out
}

// built is what go list says of a package.
type built struct {
	ImportPath string
	Export     string // file with its exported types
	Deps       []string
	GoFiles    []string
}

var (
	listOnce sync.Once
	listed   []built
	listErr  error
)

// goList returns what go list says of all packages of the program, and of all
// that they import.
func goList(t *testing.T) []built {
	t.Helper()
	listOnce.Do(func() {
		cmd := exec.Command("go", "list", "-export", "-deps", "-tags", "failpoints,soak", "-json=ImportPath,Export,Deps,GoFiles", "./...")
		cmd.Dir = root
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if listErr = cmd.Run(); listErr != nil {
			listErr = fmt.Errorf("go list: %w\n%s", listErr, stderr.String())
			return
		}
		for dec := json.NewDecoder(&stdout); ; {
			var p built
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				listErr = fmt.Errorf("read the answer of go list: %w", err)
				return
			}
			listed = append(listed, p)
		}
	})
	if listErr != nil {
		t.Fatal(listErr)
	}
	return listed
}

// typeCheck adds types to the files that go build takes.
func typeCheck(t *testing.T, of *tree, fset *token.FileSet) {
	t.Helper()
	exports, takes := map[string]string{}, map[string]bool{}
	for _, p := range goList(t) {
		exports[p.ImportPath] = p.Export
		for _, name := range p.GoFiles {
			takes[path.Join(strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/"), name)] = true
		}
	}
	packages := map[string][]*file{}
	for _, f := range of.files {
		if planted := strings.HasPrefix(f.path, "planted/"); !f.test && (takes[f.path] || planted) {
			packages[f.dir()] = append(packages[f.dir()], f)
		}
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
	for dir, files := range packages {
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
		var syntax []*ast.File
		for _, f := range files {
			f.types = info
			syntax = append(syntax, f.syntax)
		}
		if _, err := conf.Check(path.Join(module, dir), fset, syntax, info); err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
	}
}
