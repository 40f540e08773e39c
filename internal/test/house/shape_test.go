package house

import (
	"fmt"
	"go/ast"
	"go/types"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	maxFunction = 60   // lines
	maxFile     = 400  // lines
	maxMethods  = 3    // of an interface
	maxPackage  = 20   // files without tests
	maxCommand  = 2000 // lines of cmd/countersign without tests

	command = "cmd/countersign"
)

// longFunctions finds functions with more lines than a reader holds at once.
func longFunctions(of *tree) (found []finding) {
	for _, f := range of.files {
		if f.generated {
			continue
		}
		outer := ""
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			name := outer + "'s function"
			switch n := n.(type) {
			case *ast.FuncDecl:
				outer = functionName(n)
				name = outer
			case *ast.ValueSpec:
				outer = n.Names[0].Name
				return true
			case *ast.FuncLit:
			default:
				return true
			}
			lines := f.height(n)
			if f.test {
				lines -= f.tables(n)
			}
			if lines > maxFunction {
				found = append(found, finding{name, f.where(n), fmt.Sprintf("%s has %d lines", name, lines)})
				return false
			}
			return true
		})
	}
	return found
}

// tables counts the lines of the composite literals in a function.
func (f *file) tables(function ast.Node) (lines int) {
	ast.Inspect(function, func(n ast.Node) bool {
		if _, ok := n.(*ast.CompositeLit); ok {
			lines += f.height(n) - 1
			return false
		}
		return true
	})
	return lines
}

// functionName is a function's name as in doc.go: Store.Apply.
func functionName(d *ast.FuncDecl) string {
	if on := receiver(d); on != "" {
		return on + "." + d.Name.Name
	}
	return d.Name.Name
}

// receiver is the name of the type that a method is of, or "".
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// longFiles finds files that are about more than one thing.
func longFiles(of *tree) (found []finding) {
	for _, f := range of.files {
		if !f.generated && f.lines > maxFile {
			found = append(found, finding{f.base(), f.path, fmt.Sprintf("the file has %d lines", f.lines)})
		}
	}
	return found
}

// largeInterfaces counts the methods of embedded interfaces, too.
func largeInterfaces(of *tree) (found []finding) {
	for _, f := range of.files {
		if f.generated || f.types == nil {
			continue
		}
		name := ""
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				name = n.Name.Name
			case *ast.InterfaceType:
				if i, ok := f.types.TypeOf(n).(*types.Interface); ok && i.NumMethods() > maxMethods {
					found = append(found, finding{name, f.where(n), fmt.Sprintf("the interface has %d methods", i.NumMethods())})
				}
			}
			return true
		})
	}
	return found
}

// perPackage adds up what counts for each file that is neither a test nor
// generated.
func perPackage(of *tree, count func(*file) int) map[string]int {
	sums := map[string]int{}
	for _, f := range of.files {
		if !f.test && !f.generated {
			sums[f.dir()] += count(f)
		}
	}
	return sums
}

// largePackages finds packages with more files than a reader keeps apart.
func largePackages(of *tree) (found []finding) {
	files := perPackage(of, func(*file) int { return 1 })
	for _, dir := range slices.Sorted(maps.Keys(files)) {
		if files[dir] > maxPackage {
			found = append(found, finding{dir, dir, fmt.Sprintf("the package has %d files", files[dir])})
		}
	}
	return found
}

// commandLines holds package main to flags, one call, and what is printed.
func commandLines(of *tree) (found []finding) {
	if n := perPackage(of, func(f *file) int { return f.lines })[command]; n > maxCommand {
		found = append(found, finding{command, command, fmt.Sprintf("it has %d lines", n)})
	}
	return found
}

// commandImports holds package main to no SQL.
func commandImports(of *tree) (found []finding) {
	for _, f := range of.files {
		if f.test || !f.fallsUnder(command) {
			continue
		}
		for _, spec := range f.syntax.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			if name == "database/sql" || name == module+"/db/internal/sqlc" || strings.Contains(name, "sqlite3") {
				found = append(found, finding{f.base() + " " + name, f.where(spec), "the file imports " + name})
			}
		}
	}
	return found
}

// contractImports holds package events to what an upstream service wants in its
// binary.
func contractImports(of *tree) (found []finding) {
	for _, name := range of.deps {
		for _, heavy := range []string{"nats-server", "sqlite3", "fpdf", "go-mail", module + "/internal/"} {
			if strings.Contains(name, heavy) {
				found = append(found, finding{heavy, module + "/events", "it needs " + name})
				break
			}
		}
	}
	return found
}

var shapePlantings = []planting{
	{"function-length", "60 lines", map[string]string{"a.go": longSource(60)}, nil},
	{"function-length", "61 lines", map[string]string{"a.go": longSource(61)}, []string{"long"}},
	{"function-length", "a method", map[string]string{"a.go": "package x\n\nfunc (s *Store[T]) Long() {" + strings.Repeat("\n", 60) + "}\n"}, []string{"Store.Long"}},
	{"function-length", "a function in a variable", map[string]string{"a.go": "package x\n\nvar long = func() {" + strings.Repeat("\n", 60) + "}\n"}, []string{"long's function"}},
	{"function-length", "a table of a test", map[string]string{"a_test.go": "package x\n\nfunc TestX() {\n_ = []int{" + strings.Repeat("\n", 60) + "}\n}\n"}, nil},
	{"function-length", "a test", map[string]string{"a_test.go": "package x\n\nfunc TestX() {\n_ = []int{\n}" + strings.Repeat("\n", 60) + "}\n"}, []string{"TestX"}},
	{"function-length", "generated", map[string]string{"a.go": "// Code generated by x. DO NOT EDIT.\n\n" + longSource(61)}, nil},
	{"file-length", "400 lines", map[string]string{"a.go": "package x" + strings.Repeat("\n", 400)}, nil},
	{"file-length", "401 lines", map[string]string{"dir/a.go": "package x" + strings.Repeat("\n", 401), "b_test.go": "package x" + strings.Repeat("\n", 401)}, []string{"b_test.go", "a.go"}},
	{"interface-size", "3 methods", map[string]string{"planted/a.go": "package x\n\ntype T interface{ A(); B(); C() }\n"}, nil},
	{"interface-size", "4 methods", map[string]string{"planted/a.go": "package x\n\ntype T interface{ A(); B(); C(); D() }\n"}, []string{"T"}},
	{"interface-size", "embedded", map[string]string{"planted/a.go": "package x\n\nimport \"io\"\n\ntype T interface { io.ReadWriteCloser; A() }\n"}, []string{"T"}},
	{"interface-size", "without a name", map[string]string{"planted/a.go": "package x\n\ntype S struct{ f interface{ A(); B(); C(); D() } }\n"}, []string{"S"}},
	{"package-files", "20 files and tests", manyFiles(20), nil},
	{"package-files", "21 files", manyFiles(21), []string{"x"}},
	{"command-lines", "2,000 lines and tests", map[string]string{command + "/a.go": "package x" + strings.Repeat("\n", 2000), command + "/a_test.go": longSource(9)}, nil},
	{"command-lines", "in two files", map[string]string{command + "/a.go": "package x" + strings.Repeat("\n", 2000), command + "/b.go": "package x\n"}, []string{command}},
	{"command-imports", "the store", map[string]string{command + "/a.go": "package x\n\nimport _ \"countersign/db\"\n", command + "/a_test.go": "package x\n\nimport _ \"database/sql\"\n"}, nil},
	{"command-imports", "SQL", map[string]string{command + "/a.go": "package x\n\nimport _ \"database/sql\"\n"}, []string{"a.go database/sql"}},
	{"command-imports", "queries, below", map[string]string{command + "/x/a.go": "package x\n\nimport q \"countersign/db/internal/sqlc\"\n"}, []string{"a.go countersign/db/internal/sqlc"}},
	{"contract-imports", "a client", map[string]string{plantedDeps: "time github.com/nats-io/nats.go"}, nil},
	{"contract-imports", "the server", map[string]string{plantedDeps: "time github.com/nats-io/nats-server/v2/server"}, []string{"nats-server"}},
	{"contract-imports", "our own parts", map[string]string{plantedDeps: "countersign/workflow countersign/internal/eventlog"}, []string{"countersign/internal/"}},
}

// manyFiles is a package of so many files, and one test.
func manyFiles(n int) map[string]string {
	files := map[string]string{"x/a_test.go": "package x\n"}
	for i := range n {
		files[fmt.Sprintf("x/a%d.go", i)] = "package x\n"
	}
	return files
}
