package house

import (
	"go/ast"
	"go/token"
	"maps"
	"slices"
)

// packagesWithoutDoc finds packages that no file says the purpose of.
func packagesWithoutDoc(of *tree) (found []finding) {
	documented := map[string]bool{}
	for _, f := range of.files {
		if f.generated {
			continue
		}
		doc := f.syntax.Doc.Text()
		documented[f.dir()] = documented[f.dir()] || doc != ""
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		if !documented[dir] {
			found = append(found, finding{dir, dir, "no file of the package has a package comment"})
		}
	}
	return found
}

// exportedWithoutDoc finds exported names without a doc comment. A comment on a
// group of constants or variables is one for each of them, and a comment on a
// method is one for the methods of the same name in the lines below it.
func exportedWithoutDoc(of *tree) (found []finding) {
	for _, f := range of.files {
		if f.test || f.generated {
			continue
		}
		miss := func(n ast.Node, name string, docs ...*ast.CommentGroup) {
			for _, doc := range docs {
				if doc.Text() != "" {
					return
				}
			}
			found = append(found, finding{f.syntax.Name.Name + "." + name, f.where(n), name + " has no doc comment"})
		}
		for i, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if i > 0 && f.continues(d, f.syntax.Decls[i-1]) {
					continue
				}
				if on := receiver(d); d.Name.IsExported() && (on == "" || token.IsExported(on)) {
					miss(d, functionName(d), d.Doc)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if spec.Name.IsExported() {
							miss(spec, spec.Name.Name, d.Doc, spec.Doc, spec.Comment)
						}
					case *ast.ValueSpec:
						if i := slices.IndexFunc(spec.Names, (*ast.Ident).IsExported); i >= 0 {
							miss(spec, spec.Names[i].Name, d.Doc, spec.Doc, spec.Comment)
						}
					}
				}
			}
		}
	}
	return found
}

// continues reports whether a method has the name of the one in the line above.
func (f *file) continues(d *ast.FuncDecl, above ast.Decl) bool {
	a, ok := above.(*ast.FuncDecl)
	return ok && d.Recv != nil && a.Recv != nil && d.Name.Name == a.Name.Name && f.line(d.Pos()) == f.line(a.End())+1
}

var docPlantings = []planting{
	{"package-doc", "in one of two files", map[string]string{"a.go": "package x\n", "b.go": "// Package x is one.\npackage x\n"}, nil},
	{"package-doc", "none", map[string]string{"x/a.go": "package x\n", "y/a.go": "// Package y is one.\npackage y\n"}, []string{"x"}},
	{"package-doc", "only a directive", map[string]string{"x/a.go": "//go:build linux\n\npackage x\n"}, []string{"x"}},
	{"exported-doc", "documented", map[string]string{"a.go": `package x

// A is one.
type A int

// Get gets.
func (A) Get() {}
func (B) Get() {}

type B int // is another

// Of the group.
const (
	C = 1
	E = 2
)

var (
	D = 1 // at its line
	e = 2
)

type f int

func (f) String() string { return "" }
`, "a_test.go": "package x\n\nfunc Undocumented() {}\n"}, nil},
	{"exported-doc", "not documented", map[string]string{"a.go": `package x

type A int

func (*A) Get() {}

func New() {}

const B, c = 1, 2

//go:noinline
func Run() {}
`}, []string{"x.A", "x.A.Get", "x.New", "x.B", "x.Run"}},
}
