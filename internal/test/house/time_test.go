package house

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
)

// imported is the name that a file has for a package; "" if it does not import
// it.
func (f *file) imported(name string) string {
	for _, spec := range f.syntax.Imports {
		if p, _ := strconv.Unquote(spec.Path.Value); p != name {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(name)
	}
	return ""
}

// uses finds where a file names one of a package's functions, called or not.
func (f *file) uses(name string, functions ...string) (at []*ast.Ident) {
	local := f.imported(name)
	if local == "" {
		return nil
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == local && slices.Contains(functions, n.Sel.Name) {
				at = append(at, n.Sel)
			}
		case *ast.Ident:
			if local == "." && slices.Contains(functions, n.Name) {
				at = append(at, n)
			}
		}
		return true
	})
	return at
}

// clocks finds where the rules and the store look at a clock, or wait for one.
// A benchmark may.
func clocks(of *tree) (found []finding) {
	for _, f := range of.files {
		if f.test || !f.fallsUnder("workflow") && !f.fallsUnder("db") {
			continue
		}
		for _, id := range f.uses("time", "Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep") {
			found = append(found, finding{f.base() + " time." + id.Name, f.where(id), "it uses time." + id.Name})
		}
	}
	return found
}

// sleeps finds where the program or a test waits for nothing but time: in
// time.Sleep, a Sleep of another package, or a receive from time.After, Tick or
// a new timer that is no case beside others. A test in a bubble of
// testing/synctest may receive: there, time passes at once.
func sleeps(of *tree) (found []finding) {
	for _, f := range of.files {
		timed := f.imported("time")
		report := func(n ast.Node, what string) {
			found = append(found, finding{f.base() + " " + what, f.where(n), "it sleeps, by " + what})
		}
		beside := map[ast.Node]bool{} // receives that are cases beside others
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectStmt:
				for _, c := range n.Body.List {
					if c, ok := c.(*ast.CommClause); ok && c.Comm != nil && len(n.Body.List) > 1 {
						beside[received(c.Comm)] = true
					}
				}
			case *ast.SelectorExpr:
				if n.Sel.Name == "Sleep" {
					report(n, "Sleep")
				}
			case *ast.UnaryExpr:
				if name := timer(n, timed); name != "" && !beside[n] && f.imported("testing/synctest") == "" {
					report(n, "time."+name)
				}
			}
			return true
		})
	}
	return found
}

// received is the receive of a select's case, or nil if it sends.
func received(s ast.Stmt) ast.Node {
	switch s := s.(type) {
	case *ast.ExprStmt:
		return s.X
	case *ast.AssignStmt:
		return s.Rhs[0]
	}
	return nil
}

// timer is the function of package time that makes what an expression receives
// from, or "".
func timer(e *ast.UnaryExpr, timed string) string {
	if e.Op != token.ARROW || timed == "" {
		return ""
	}
	from := e.X
	if c, ok := from.(*ast.SelectorExpr); ok && c.Sel.Name == "C" { // time.NewTimer(d).C
		from = c.X
	}
	call, ok := from.(*ast.CallExpr)
	if !ok {
		return ""
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := f.X.(*ast.Ident); ok && x.Name == timed && slices.Contains([]string{"After", "Tick", "NewTimer", "NewTicker"}, f.Sel.Name) {
		return f.Sel.Name
	}
	return ""
}

// skips finds tests that do not run, or do less in short mode, and those that
// return at once, and so pass, because of the machine or its environment.
func skips(of *tree) (found []finding) {
	for _, f := range of.files {
		if f.imported("testing") == "" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if n, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, n.Sel.Name) {
				found = append(found, finding{f.base() + " " + n.Sel.Name, f.where(n), "it uses " + n.Sel.Name})
			}
			return true
		})
		for _, d := range f.syntax.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && testName.MatchString(d.Name.Name) {
				found = append(found, f.gaveUp(d)...)
			}
		}
		for _, id := range f.uses("testing", "Short") {
			found = append(found, finding{f.base() + " Short", f.where(id), "it uses testing.Short"})
		}
	}
	return found
}

// gaveUp finds an if that asks for the user, a variable or a program, and then
// only returns.
func (f *file) gaveUp(test *ast.FuncDecl) (found []finding) {
	ast.Inspect(test, func(n ast.Node) bool {
		branch, ok := n.(*ast.IfStmt)
		if !ok || len(branch.Body.List) != 1 {
			return true
		}
		if _, ok := branch.Body.List[0].(*ast.ReturnStmt); !ok {
			return true
		}
		ask := func(n ast.Node) bool {
			if n, ok := n.(*ast.SelectorExpr); ok && slices.Contains(machine, n.Sel.Name) {
				found = append(found, finding{test.Name.Name + " " + n.Sel.Name, f.where(n), "it returns, and passes, because of " + n.Sel.Name})
			}
			return true
		}
		if branch.Init != nil {
			ast.Inspect(branch.Init, ask)
		}
		ast.Inspect(branch.Cond, ask)
		return true
	})
	return found
}

// machine lists what tells a test where it runs.
var machine = []string{"Getenv", "LookupEnv", "Geteuid", "Getuid", "Getegid", "Getgid", "LookPath", "GOOS", "GOARCH"}

var timePlantings = []planting{
	{"clock", "the entry's time", map[string]string{"workflow/a.go": "package workflow\n\nimport \"time\"\n\nvar at = time.Unix(0, 0).Add(time.Hour)\n"}, nil},
	{"clock", "elsewhere", map[string]string{"internal/web/a.go": "package web\n\nimport \"time\"\n\nvar at = time.Now()\n", "db/bench_test.go": "package db\n\nimport \"time\"\n\nvar at = time.Now()\n"}, nil},
	{"clock", "now", map[string]string{"workflow/a.go": "package workflow\n\nimport \"time\"\n\nvar at = time.Now()\n"}, []string{"a.go time.Now"}},
	{"clock", "as a value, by another name", map[string]string{"db/x/a.go": "package x\n\nimport clock \"time\"\n\nvar now = clock.Since\n"}, []string{"a.go time.Since"}},
	{"clock", "without a name", map[string]string{"db/a.go": "package x\n\nimport . \"time\"\n\nvar now = NewTimer(Second)\n"}, []string{"a.go time.NewTimer"}},
	{"sleep", "a deadline", inTest(`select { case <-done: case <-time.After(d): }`), nil},
	{"sleep", "a tick", inTest(`select { case <-done: case at := <-time.Tick(d): }; <-done`), nil},
	{"sleep", "in a bubble", map[string]string{"a_test.go": "package x\n\nimport (\"testing/synctest\"; \"time\")\n\nfunc f() { synctest.Wait(); <-time.After(1) }\n"}, nil},
	{"sleep", "plain", inTest(`time.Sleep(d)`), []string{"a_test.go Sleep"}},
	{"sleep", "as a value", inTest(`pause := time.Sleep`), []string{"a_test.go Sleep"}},
	{"sleep", "of a browser's driver", inTest(`chromedp.Sleep(d)`), []string{"a_test.go Sleep"}},
	{"sleep", "a receive", inTest(`<-time.After(d)`), []string{"a_test.go time.After"}},
	{"sleep", "a receive from a timer", inTest(`at := <-time.NewTimer(d).C`), []string{"a_test.go time.NewTimer"}},
	{"sleep", "the only case", inTest(`select { case <-time.After(d): }`), []string{"a_test.go time.After"}},
	{"sleep", "in the program", map[string]string{"a.go": "package x\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n"}, []string{"a.go Sleep"}},
	{"skip", "of a reader", map[string]string{"a.go": "package x\n\nfunc f() { reader.Skip(4) }\n"}, nil},
	{"skip", "a failure", inTest(`t.Fatal("install promtool"); terminal.Short(s)`), nil},
	{"skip", "in a helper", inTest(`t.Skip("no promtool")`), []string{"a_test.go Skip"}},
	{"skip", "now", inTest(`t.SkipNow()`), []string{"a_test.go SkipNow"}},
	{"skip", "another way to do it", map[string]string{"a_test.go": "package x\n\nimport \"testing\"\n\nfunc TestA() { if os.Geteuid() == 0 { chown() }; if tests.done { return } }\n"}, nil},
	{"skip", "a return", map[string]string{"a_test.go": "package x\n\nimport \"testing\"\n\nfunc TestA() { if _, err := exec.LookPath(\"openssl\"); err != nil { return } }\n"}, []string{"TestA LookPath"}},
	{"skip", "a return in a subtest", map[string]string{"a_test.go": "package x\n\nimport \"testing\"\n\nfunc TestA() { t.Run(\"x\", func() { if os.Getenv(\"CI\") == \"\" { return } }) }\n"}, []string{"TestA Getenv"}},
	{"skip", "in short mode", inTest(`if testing.Short() { return }`), []string{"a_test.go Short"}},
}

// inTest is a repository of one test file with a function.
func inTest(body string) map[string]string {
	return map[string]string{"a_test.go": "package x\n\nimport (\"testing\"; \"time\")\n\nfunc f(t *testing.T) {\n" + body + "\n}\n"}
}
