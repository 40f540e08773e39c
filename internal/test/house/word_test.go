package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// dialect lists words that a reader has to guess, and what to say instead.
var dialect = []struct {
	name    string
	say     string
	pattern *regexp.Regexp
}{
	{"anew", "again", regexp.MustCompile(`(?i)\banew\b`)},
	{"for ever", "say until when, or leave it out", regexp.MustCompile(`(?i)\bfor\s+ever\b`)},
	{"mend", "fix, repair", regexp.MustCompile(`(?i)\bmend(s|ed|ing)?\b`)},
	{"stands at", "is", regexp.MustCompile(`(?i)\b(stands?|stood)\s+at\b`)},
	{"what is … by", "name the thing: the events that X sends", regexp.MustCompile(`(?i)\bwhat\s+(is|are|was|were)\s+(\w+\s+){1,4}by\b`)},
	{"in hand", "in flight, open, pending", regexp.MustCompile(`(?i)\bin\s+hand\b`)},
	{"turned down", "rejected, refused", regexp.MustCompile(`(?i)\bturn(s|ed|ing)?\s+down\b`)},
}

// negative begins a message that says only what something is not.
var negative = regexp.MustCompile(`^(%\w+:? )?[Nn]ot an? `)

// words finds dialect in everything that people read: Go's comments, the texts
// of the program, pages, mails and documents. The texts of tests are data.
// In Markdown, a word in backquotes is a name.
func words(of *tree) (found []finding) {
	report := func(name, where, text string) {
		for _, w := range dialect {
			if met := w.pattern.FindString(text); met != "" {
				found = append(found, finding{path.Base(name) + ": " + w.name, where, fmt.Sprintf("%q; say: %s", met, w.say)})
			}
		}
	}
	for _, f := range of.files {
		if f.generated {
			continue
		}
		for _, c := range f.syntax.Comments {
			report(f.path, f.where(c), c.Text())
		}
		if f.test {
			continue
		}
		f.literals(func(n ast.Node, text string) {
			report(f.path, f.where(n), text)
			if negative.MatchString(text) {
				found = append(found, finding{f.base() + ": not a", f.where(n), fmt.Sprintf("%q; say what must be: must be 1 to 256", text)})
			}
		})
	}
	for _, t := range of.texts {
		for i, paragraph := range paragraphs(t) {
			report(t.path, fmt.Sprintf("%s, paragraph %d", t.path, i+1), paragraph)
		}
	}
	return found
}

var (
	codeSpan   = regexp.MustCompile("`[^`\n]*`")
	lineMarker = regexp.MustCompile(`(?m)^\s*(#+|//+|--+|>|\*|@)?\s*`)
)

// paragraphs parts a text at its empty lines, and takes away what marks the
// lines of a comment.
func paragraphs(t text) []string {
	body := t.body
	if path.Ext(t.path) == ".md" {
		body = codeSpan.ReplaceAllString(body, "``")
	}
	var out []string
	for p := range strings.SplitSeq(body, "\n\n") {
		out = append(out, lineMarker.ReplaceAllString(p, " "))
	}
	return out
}

// literals calls see for each text in a file. Texts that are added to one
// another are one.
func (f *file) literals(see func(n ast.Node, text string)) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BinaryExpr:
			if n.Op == token.ADD && sum(n) != "" {
				see(n, sum(n))
				return false
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				see(n, sum(n))
			}
		}
		return true
	})
}

// sum is a text that is added up from literals; what is no literal in it is …,
// and the texts in that come after it.
func sum(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return sum(e.X)
	case *ast.BinaryExpr:
		return sum(e.X) + sum(e.Y)
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, _ := strconv.Unquote(e.Value)
			return s
		}
	}
	var inner strings.Builder
	ast.Inspect(e, func(n ast.Node) bool {
		if n, ok := n.(*ast.BasicLit); ok && n.Kind == token.STRING {
			s, _ := strconv.Unquote(n.Value)
			inner.WriteString("\n" + s)
		}
		return true
	})
	if inner.Len() == 0 {
		return ""
	}
	return "…" + inner.String() + "\n"
}

var wordPlantings = []planting{
	{"word", "plain", map[string]string{"a.go": "// Package x stands for amendments.\npackage x\n\nvar err = errors.New(\"must be 1 to 256; it is not a number\")\n", "README.md": "Say `anew` for again.\n"}, nil},
	{"word", "texts of tests", map[string]string{"a_test.go": "package x\n\nvar s = \"anew\"\n"}, nil},
	{"word", "an error", map[string]string{"a.go": "package x\n\nvar err = errors.New(\"the stream is made anew\")\n"}, []string{"a.go: anew"}},
	{"word", "on two lines", map[string]string{"dir/a.go": "package x\n\nvar err = fmt.Errorf(\"links last for \"+\n\"ever: %w\", err)\n"}, []string{"a.go: for ever"}},
	{"word", "around a value", map[string]string{"a.go": "package x\n\nvar s = \"entry \" + strconv.Itoa(n) + \" stands at 4\" + fmt.Sprint(\"mended\")\n"}, []string{"a.go: mend", "a.go: stands at"}},
	{"word", "in help", map[string]string{"a.go": "package x\n\nvar c = cobra.Command{Short: `Tells what is\nowed by whom`}\n"}, []string{"a.go: what is … by"}},
	{"word", "in a comment", map[string]string{"a_test.go": "package x\n\n// The mails in\n// hand are sent.\nvar s = 1\n"}, []string{"a_test.go: in hand"}},
	{"word", "what it is not", map[string]string{"a.go": "package x\n\nvar a, b, c = errors.New(\"not a sid\"), fmt.Errorf(\"%q not an \" + kind), f(\"it is \" + \"not a sid\")\n"}, []string{"a.go: not a", "a.go: not a"}},
	{"word", "in documents", map[string]string{
		"README.md": "It was turned\ndown.\n", "docs/openapi.yaml": "# It lasts for\n# ever.\na: Mended\n", "internal/mail/templates/a.html": "<p>What was asked of you by",
	}, []string{"README.md: turned down", "openapi.yaml: for ever", "openapi.yaml: mend", "a.html: what is … by"}},
}
