package countersign_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// direct lists what prints past internal/terminal, wherever it is called.
var direct = []string{
	"os.Stdout", "os.Stderr", "os.NewFile", "syscall.Write", "fmt.Print", "fmt.Printf", "fmt.Println", "print", "println",
	"log.Print", "log.Printf", "log.Println", "log.Fatal", "log.Fatalf", "log.Fatalln", "log.Default", "log.SetOutput",
	"slog.Debug", "slog.Info", "slog.Warn", "slog.Error", "slog.Default", "slog.SetDefault",
}

// loose lists what a command must not use: it prints values from outside as they
// are, with their line feeds. A Printer's methods do not.
var loose = []string{
	"fmt.Fprint", "fmt.Fprintf", "fmt.Fprintln", "io.WriteString", "io.Copy", "json.NewEncoder", "tabwriter.NewWriter",
	"slog.NewTextHandler", "a.out.Write", "a.err.Write", "b.out.Write", "b.err.Write",
}

// mayPrint has the files that may use some of these, and why.
var mayPrint = map[string][]string{
	"cmd/countersign/main.go":  {"os.Stdout", "os.Stderr"}, // given to terminal.New
	"cmd/countersign/dump.go":  {"Device"},                 // through terminal.JSONWriter
	"internal/terminal":        {"Device"},                 // defines it
	"internal/test/eventstest": {"os.Stderr"},              // the log of tests
}

// printing lists what a file uses that prints past internal/terminal. command
// holds it to what commands must not use, too.
func printing(file *ast.File, command bool) (found []string) {
	forbidden := direct
	if command {
		forbidden = slices.Concat(direct, loose)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		name := ""
		switch n := n.(type) {
		case *ast.SelectorExpr:
			name = selector(n)
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok {
				name = id.Name
			}
		}
		if slices.Contains(forbidden, name) {
			found = append(found, name)
		} else if strings.HasSuffix(name, ".Device") {
			found = append(found, "Device")
		}
		return true
	})
	return found
}

// selector is a chain of names as it stands in the source, such as a.out.Write.
func selector(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return selector(e.X) + "." + e.Sel.Name
	}
	return ""
}

// TestPrinting_NothingPrintsPastTheWriter holds every file of the program to
// internal/terminal.
func TestPrinting_NothingPrintsPastTheWriter(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{"tools", "browser", "examples", "bench", ".git"}, path): // programs of their own, for developers
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		files++
		may := slices.Concat(mayPrint[path], mayPrint[filepath.Dir(path)])
		for _, name := range printing(file, strings.HasPrefix(path, "cmd/")) {
			if !slices.Contains(may, name) {
				t.Errorf("%s uses %s; print with a terminal.Printer: Linef, Table, JSON, Error", path, name)
			}
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files read, %v", files, err)
	}
}

func TestPrinting_NoticesWhatPrints(t *testing.T) {
	for code, want := range map[string]string{
		`fmt.Println(err)`:                   "[fmt.Println]",
		`w := os.Stderr; _ = w`:              "[os.Stderr]",
		`fmt.Fprintf(a.out, "%s\n", reason)`: "[fmt.Fprintf]",
		`println(reason)`:                    "[println]",
		`json.NewEncoder(a.out).Encode(d)`:   "[json.NewEncoder]",
		`a.out.Write([]byte(reason))`:        "[a.out.Write]",
		`f(a.out.Device())`:                  "[Device]",
		`a.out.Linef("%s", reason)`:          "[]",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() {\n"+code+"\n}", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(printing(file, true)); got != want {
			t.Errorf("%s: found %s, want %s", code, got, want)
		}
	}
}
