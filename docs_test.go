package countersign_test

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// document is a Markdown file of the repository.
type document struct {
	path string // from the root
	text string // without code blocks
}

var (
	fences   = regexp.MustCompile("(?ms)^```.*?^```")
	codes    = regexp.MustCompile("`[^`\n]*`")
	links    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headings = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	tests    = regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z]\w*)(…?)`)
	added    = regexp.MustCompile(`" \+\s*"`) // between two parts of a text
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// TestDocs_LinksLeadSomewhere follows every relative link of every document,
// to a file and to a heading of it, as the repository's host does.
func TestDocs_LinksLeadSomewhere(t *testing.T) {
	for _, fault := range brokenLinks(documents(t)) {
		t.Error(fault)
	}
}

// TestDocs_NamedTestsExist looks up every test that a document names.
func TestDocs_NamedTestsExist(t *testing.T) {
	var known []string
	for _, path := range files(t, "_test.go") {
		for _, m := range testFunc.FindAllStringSubmatch(read(t, path), -1) {
			known = append(known, m[1])
		}
	}
	for _, fault := range unknownTests(documents(t), known) {
		t.Error(fault)
	}
}

// TestDocs_QuotedMessagesExist looks up in the source what operations.md quotes
// of logs and errors, so that an operator who searches for a line finds it.
func TestDocs_QuotedMessagesExist(t *testing.T) {
	var source strings.Builder
	for _, path := range files(t, ".go") {
		if !strings.HasSuffix(path, "_test.go") {
			source.WriteString(added.ReplaceAllString(read(t, path), ""))
		}
	}
	found := quotes(read(t, "docs/operations.md"))
	if len(found) < 30 {
		t.Errorf("found only %d quotes", len(found))
	}
	for _, quote := range found {
		if !quoted(quote, source.String()) {
			t.Errorf("docs/operations.md quotes %q, and no message of the program says so", quote)
		}
	}
}

// quotes returns what the first column of the table "When something fails"
// quotes.
func quotes(operations string) (list []string) {
	_, section, _ := strings.Cut(operations, "## When something fails")
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		for _, code := range codes.FindAllString(first, -1) {
			list = append(list, strings.Trim(code, "`"))
		}
	}
	return list
}

// quoted reports whether four words of a quote, or all if it has fewer, follow
// one another in the source. The others may be values.
func quoted(quote, source string) bool {
	words := strings.Fields(strings.ReplaceAll(quote, "…", " "))
	n := min(4, len(words))
	for i := range len(words) - n + 1 {
		if strings.Contains(source, strings.TrimRight(strings.Join(words[i:i+n], " "), ";:,")) {
			return true
		}
	}
	return false
}

// TestDocs_ArchitectureNamesEveryPackage keeps the list of packages complete.
// What only tests use, and programs of the examples, are one line each.
func TestDocs_ArchitectureNamesEveryPackage(t *testing.T) {
	text := read(t, "ARCHITECTURE.md")
	for _, p := range goList(t, "./...") {
		room := p.room()
		if room == "." || strings.HasPrefix(room, testRooms) || strings.HasPrefix(room, "examples/") {
			continue
		}
		if !strings.Contains(text, room+"/") {
			t.Errorf("ARCHITECTURE.md does not name %s", room)
		}
	}
}

// TestDocs_EveryPictureIsShown keeps pictures out of the repository that no
// document shows.
func TestDocs_EveryPictureIsShown(t *testing.T) {
	shown := map[string]bool{}
	for _, d := range documents(t) {
		for _, to := range relative(d) {
			shown[filepath.Join(filepath.Dir(d.path), to.Path)] = true
		}
	}
	for _, picture := range files(t, ".jpg") {
		if !shown[picture] {
			t.Errorf("no document shows %s", picture)
		}
	}
}

func TestDocs_FaultsAreNoticed(t *testing.T) {
	docs := []document{
		{"README.md", "# A `b`: c, d's\n## Twice\n## Twice\n[a](#a-b-c-ds) [b](docs/x.md#there) [c](#twice-1) [web](https://example.com/x)"},
		{"docs/x.md", "# There\n[gone](../docs/y.md) [no](../README.md#b) [up](../README.md#twice-2) `TestA` `TestB` `TestC_…`"},
	}
	want := []string{
		"docs/x.md links to ../docs/y.md, which is not there",
		"docs/x.md links to ../README.md#b, and README.md has no such heading",
		"docs/x.md links to ../README.md#twice-2, and README.md has no such heading",
	}
	if got := brokenLinks(docs); !slices.Equal(got, want) {
		t.Errorf("links: %q", got)
	}
	want = []string{"docs/x.md names TestB, and there is no such test"}
	if got := unknownTests(docs, []string{"TestA", "TestC_One"}); !slices.Equal(got, want) {
		t.Errorf("tests: %q", got)
	}
	list := quotes("## When something fails\n| `the log is %s here; …`, from a `command` | `no` |\n## Watching\n| `none` | |\n")
	if !slices.Equal(list, []string{"the log is %s here; …", "command"}) {
		t.Errorf("quotes: %q", list)
	}
	const source = `"entry %d of the log is gone"`
	if !quoted("entry 7 of the log is gone; …", source) || quoted("entry 7 of the log has gone", source) {
		t.Error("a quote is found only if four of its words are in the source")
	}
}

// brokenLinks lists the relative links that lead nowhere.
func brokenLinks(docs []document) (faults []string) {
	byPath := map[string]document{}
	for _, d := range docs {
		byPath[d.path] = d
	}
	for _, d := range docs {
		for _, to := range relative(d) {
			path := d.path
			if to.Path != "" {
				path = filepath.Join(filepath.Dir(d.path), to.Path)
			}
			there, isDocument := byPath[path]
			if _, err := os.Stat(path); err != nil && !isDocument {
				faults = append(faults, d.path+" links to "+to.String()+", which is not there")
			} else if to.Fragment != "" && !slices.Contains(anchors(there), to.Fragment) {
				faults = append(faults, d.path+" links to "+to.String()+", and "+path+" has no such heading")
			}
		}
	}
	return faults
}

// relative returns the links of a document that stay in the repository.
func relative(d document) (list []*url.URL) {
	for _, m := range links.FindAllStringSubmatch(codes.ReplaceAllString(d.text, ""), -1) {
		if to, err := url.Parse(m[1]); err == nil && to.Scheme == "" && to.Host == "" {
			list = append(list, to)
		}
	}
	return list
}

// anchors returns the fragments of a document's headings, as GitHub makes them:
// in lower case, spaces as hyphens, without punctuation, and with a number from
// the second of a name on.
func anchors(d document) (list []string) {
	times := map[string]int{}
	for _, m := range headings.FindAllStringSubmatch(d.text, -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(m[1]))
		times[anchor]++
		if n := times[anchor]; n > 1 {
			anchor += "-" + string(rune('0'+n-1))
		}
		list = append(list, anchor)
	}
	return list
}

// unknownTests lists the tests that documents name and that are not known. A
// name with an ellipsis stands for all that begin with it.
func unknownTests(docs []document, known []string) (faults []string) {
	for _, d := range docs {
		for _, m := range tests.FindAllStringSubmatch(strings.ReplaceAll(d.text, "TestXxx", ""), -1) {
			found := slices.ContainsFunc(known, func(name string) bool {
				return name == m[1] || m[2] != "" && strings.HasPrefix(name, m[1])
			})
			if !found {
				faults = append(faults, d.path+" names "+m[1]+", and there is no such test")
			}
		}
	}
	return faults
}

// documents returns every Markdown file of the repository.
func documents(t *testing.T) (docs []document) {
	t.Helper()
	for _, path := range files(t, ".md") {
		docs = append(docs, document{path, fences.ReplaceAllString(read(t, path), "")})
	}
	if len(docs) < 10 {
		t.Errorf("found only %d documents", len(docs))
	}
	return docs
}

// files returns the repository's files whose names end so, in the order of
// their paths, leaving aside what tools have installed or made.
func files(t *testing.T, ending string) (paths []string) {
	t.Helper()
	skip := []string{".git", "node_modules", "bin", "data", "shots"}
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && slices.Contains(skip, e.Name()) {
			return fs.SkipDir
		}
		if !e.IsDir() && strings.HasSuffix(path, ending) {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
