package countersign_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "countersign"

// rooms says which packages of ours a package may import. A folder's row
// counts for the packages below it, unless they have their own; a package
// without a row is a fault, so that a new one is given its place here.
//
// Arrows point down: cmd, then internal/worker and internal/signing, then the
// adapters, then db and internal/eventlog, then events, then workflow. Adapters do
// not know each other; they meet in internal/worker. Leaves know at most the words
// of workflow. Only tests import internal/test.
var rooms = map[string]string{
	"cmd":   "*",
	"bench": "*", // nothing but measurements

	"internal/api":      "db events events/emailaddr internal/httpd internal/phone internal/ratelimit internal/ticket workflow",
	"internal/accounts": "internal/private workflow",
	"internal/admin":    "db internal/trouble workflow",
	"internal/web":      "db events events/emailaddr internal/httpd internal/letter/fonts internal/loa internal/phone internal/ratelimit internal/ticket workflow",
	"internal/relay":    "db events internal/delivery internal/eventlog internal/failpoint internal/trouble workflow",
	"internal/mail":     "events/emailaddr internal/delivery internal/failpoint internal/inert internal/loa internal/mail/mailid internal/phone internal/private internal/ratelimit internal/redact internal/smtpurl workflow",
	"internal/letter":   "internal/letter/fonts internal/loa internal/phone workflow",

	"internal/webhook": "internal/private workflow",

	"internal/letter/fonts": "",
	"internal/mail/mailid":  "workflow",
	"internal/mail/report":  "internal/mail/mailid internal/redact workflow",

	// Above the adapters, which meet in these two. Nothing but cmd and dev imports worker.
	"internal/worker":  "db events internal/eventlog internal/accounts internal/admin internal/api internal/config internal/datadir internal/delivery internal/httpd internal/mail internal/natsd internal/private internal/recovery internal/relay internal/signing internal/smtpurl internal/web internal/webhook workflow",
	"internal/signing": "db internal/config internal/eventlog internal/letter internal/letter/fonts internal/loa internal/private internal/ticket internal/web workflow",

	"internal/dev":      "db events internal/catcher internal/config internal/publish internal/show internal/terminal internal/worker workflow",
	"internal/evidence": "events internal/letter internal/terminal workflow",
	"internal/operator": "db events internal/config internal/eventlog internal/evidence internal/publish internal/recovery internal/session internal/webhook workflow",
	"internal/publish":  "db events internal/config internal/eventlog internal/datadir internal/session internal/terminal workflow",
	"internal/recovery": "db events internal/config internal/eventlog internal/datadir internal/publish internal/relay internal/session internal/terminal workflow",
	"internal/show":     "db events internal/accounts internal/eventlog internal/evidence internal/mail/report internal/operator internal/publish internal/recovery internal/terminal internal/ticket workflow",
	"internal/session":  "events internal/config internal/eventlog internal/datadir internal/natsd internal/terminal workflow",

	"internal/catcher":   "workflow",
	"internal/config":    "internal/private internal/smtpurl workflow",
	"internal/datadir":   "internal/config internal/natsd internal/private workflow",
	"internal/delivery":  "workflow",
	"internal/failpoint": "",
	"internal/httpd":     "internal/private internal/ratelimit",
	"internal/inert":     "",
	"internal/loa":       "",
	"internal/natsd":     "internal/private workflow",
	"internal/phone":     "workflow",
	"internal/private":   "",
	"internal/ratelimit": "",
	"internal/redact":    "",
	"internal/sim":       "", // all of it is tests
	"internal/smtpurl":   "",
	"internal/terminal":  "",
	"internal/trouble":   "",
	"internal/ticket":    "internal/private workflow",

	"db":               "db/internal/sqlc db/migrations internal/failpoint workflow .",
	"db/internal/sqlc": "workflow",

	"events":            "events/emailaddr workflow",
	"events/emailaddr":  "",
	"internal/eventlog": "events internal/failpoint internal/private workflow",

	"internal/test":            "",
	"internal/test/eventstest": "events internal/eventlog internal/natsd workflow",
	"internal/test/reword":     "workflow",

	"workflow": "",
	".":        "", // carries schema.sql, nothing else
	"examples": "", // an oracle that shares our code would share our mistakes

	"examples/upstream":       "events workflow", // as a service of somebody else would
	"internal/test/devserver": "",                // runs the program, and does not import it
}

// testRooms begins the paths of packages that only tests use.
const testRooms = "internal/test/"

// pure rooms import nothing but the standard library, of anybody's.
var pure = []string{"workflow", ".", "examples"}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string // of its own tests
	XTestImports []string // of its tests from outside
}

// room is the package's path in this module; "." for the root.
func (p pkg) room() string { return ours(p.ImportPath) }

// ours is the path in this module of an import path, or "".
func ours(path string) string {
	if path == module {
		return "."
	}
	rest, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return rest
}

// rowOf is the row that counts for a room.
func rowOf(room string) (row string, ok bool) {
	for r := room; r != ""; {
		if _, ok := rooms[r]; ok {
			return r, true
		}
		i := strings.LastIndexByte(r, '/')
		r = r[:max(i, 0)]
	}
	return "", false
}

// violations lists the imports that break the rules. standard tells the
// standard library's packages from those of others.
func violations(packages []pkg, standard func(path string) bool) []string {
	var out []string
	for _, p := range packages {
		row, ok := rowOf(p.room())
		if !ok {
			out = append(out, p.room()+" has no row in layers_test.go")
			continue
		}
		allowed := strings.Fields(rooms[row])
		for _, path := range p.Imports {
			switch to := ours(path); {
			case to == "" && slices.Contains(pure, row) && !standard(path):
				out = append(out, fmt.Sprintf("%s imports %s; it may import only the standard library", p.room(), path))
			case to != "" && to != row && rooms[row] != "*" && !slices.Contains(allowed, to):
				out = append(out, fmt.Sprintf("%s imports %s; it may import %q", p.room(), to, rooms[row]))
			}
		}
		for _, path := range p.Imports {
			if to := ours(path); strings.HasPrefix(to, testRooms) && !strings.HasPrefix(p.room(), testRooms) {
				out = append(out, fmt.Sprintf("%s imports %s; only tests may import what is in %s", p.room(), to, testRooms))
			}
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			to, _ := rowOf(ours(path))
			if to == "cmd" && row != "cmd" {
				out = append(out, fmt.Sprintf("%s imports %s; nothing may import cmd, tests neither", p.room(), ours(path)))
			}
		}
	}
	return out
}

func TestLayers(t *testing.T) {
	packages := goList(t, "./...")
	std := map[string]bool{"C": true}
	for _, p := range goList(t, "std") {
		std[p.ImportPath] = true
	}
	for _, v := range violations(packages, func(path string) bool { return std[path] }) {
		t.Error(v)
	}
	if len(packages) < 10 {
		t.Errorf("go list found only %d packages", len(packages))
	}
}

// goList returns what go list says of the packages that pattern matches.
func goList(t *testing.T, pattern string) []pkg {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", pattern)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", pattern, err, stderr.String())
	}
	var packages []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("read what go list says: %v", err)
		}
		packages = append(packages, p)
	}
}

func TestLayers_NoticeViolations(t *testing.T) {
	for _, tt := range []struct {
		name string
		pkg  pkg
		want []string
	}{
		{
			"rules that need a library",
			pkg{ImportPath: "countersign/workflow", Imports: []string{"time", "github.com/google/uuid"}},
			[]string{`workflow imports github.com/google/uuid; it may import only the standard library`},
		},
		{
			"rules that know the store",
			pkg{ImportPath: "countersign/workflow", Imports: []string{"countersign/db"}},
			[]string{`workflow imports db; it may import ""`},
		},
		{
			"an adapter that knows another",
			pkg{ImportPath: "countersign/internal/relay", Imports: []string{"countersign/internal/mail", "countersign/db"}},
			[]string{`internal/relay imports internal/mail; it may import "` + rooms["internal/relay"] + `"`},
		},
		{
			"a leaf that knows an adapter",
			pkg{ImportPath: "countersign/internal/config", Imports: []string{"countersign/internal/web"}},
			[]string{`internal/config imports internal/web; it may import "` + rooms["internal/config"] + `"`},
		},
		{
			"a package below that does what its folder may not",
			pkg{ImportPath: "countersign/internal/mail/templates", Imports: []string{"countersign/db"}},
			[]string{`internal/mail/templates imports db; it may import "` + rooms["internal/mail"] + `"`},
		},
		{
			"a test that runs the program",
			pkg{ImportPath: "countersign/db", XTestImports: []string{"countersign/cmd/countersign"}},
			[]string{`db imports cmd/countersign; nothing may import cmd, tests neither`},
		},
		{
			"a new package",
			pkg{ImportPath: "countersign/internal/misc"},
			[]string{`internal/misc has no row in layers_test.go`},
		},
		{
			"a program that needs what tests need",
			pkg{ImportPath: "countersign/cmd/countersign", Imports: []string{"countersign/internal/test/eventstest"}},
			[]string{`cmd/countersign imports internal/test/eventstest; only tests may import what is in internal/test/`},
		},
		{"cmd, which may", pkg{ImportPath: "countersign/cmd/countersign", Imports: []string{"countersign/internal/mail", "countersign/cmd/countersign/x", "github.com/spf13/cobra"}}, nil},
		{"a test with its neighbours", pkg{ImportPath: "countersign/internal/relay", XTestImports: []string{"countersign/internal/mail"}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			standard := func(path string) bool { return path == "time" }
			if diff := cmp.Diff(tt.want, violations([]pkg{tt.pkg}, standard)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLayers_NameRooms(t *testing.T) {
	for row, allowed := range rooms {
		for _, to := range strings.Fields(allowed) {
			if _, ok := rowOf(to); !ok && to != "*" {
				t.Errorf("%s may import %s, which has no row; rows are %q", row, to, slices.Sorted(maps.Keys(rooms)))
			}
		}
	}
}
