package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"countersign/internal/api"
	"countersign/workflow"
)

// contract is docs/openapi.yaml.
type contract struct {
	t        *testing.T
	raw      any // as JSON has it
	compiler *jsonschema.Compiler
}

const contractFile = "../../docs/openapi.yaml"

func readContract(t *testing.T) *contract {
	t.Helper()
	text, err := os.ReadFile(contractFile)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{t: t, compiler: jsonschema.NewCompiler()}
	if c.raw, err = jsonschema.UnmarshalJSON(strings.NewReader(string(asJSON))); err != nil {
		t.Fatal(err)
	}
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource("openapi.json", c.raw); err != nil {
		t.Fatal(err)
	}
	return c
}

// at walks the document, through references.
func (c *contract) at(from any, keys ...string) any {
	for _, key := range keys {
		from = c.resolve(from)
		m, ok := from.(map[string]any)
		if !ok {
			return nil
		}
		from = m[key]
	}
	return c.resolve(from)
}

func (c *contract) resolve(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	if ref, ok := m["$ref"].(string); ok {
		return c.at(c.raw, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return v
}

// operations lists the contract's operations, "get /path".
func (c *contract) operations() (all []string) {
	for path, item := range c.at(c.raw, "paths").(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				all = append(all, method+" "+path)
			}
		}
	}
	return all
}

// responses of an operation, by status.
func (c *contract) responses(operation string) map[string]any {
	method, path, _ := strings.Cut(operation, " ")
	return c.at(c.raw, "paths", path, method, "responses").(map[string]any)
}

// check holds an answer to what the contract says of it.
func (c *contract) check(operation string, r reply) {
	c.t.Helper()
	response := c.at(c.responses(operation)[strconv.Itoa(r.status)])
	if response == nil {
		c.t.Errorf("%s answers %d, which the contract does not have: %s", operation, r.status, r.raw)
		return
	}
	headers, _ := c.at(response, "headers").(map[string]any)
	for name := range headers {
		if r.header.Get(name) == "" {
			c.t.Errorf("%s answers %d without %s", operation, r.status, name)
		}
	}
	ref, _ := c.at(response, "content", "application/json").(map[string]any)
	if ref == nil {
		if r.raw != "" {
			c.t.Errorf("%s answers %d with a body: %s", operation, r.status, r.raw)
		}
		return
	}
	name, named := ref["schema"].(map[string]any)["$ref"].(string)
	if !named {
		method, path, _ := strings.Cut(operation, " ")
		name = "#/paths/" + strings.ReplaceAll(path, "/", "~1") + "/" + method + "/responses/" + strconv.Itoa(r.status) + "/content/application~1json/schema"
	}
	schema, err := c.compiler.Compile("openapi.json" + name)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := jsonschema.UnmarshalJSON(strings.NewReader(r.raw))
	if err != nil {
		c.t.Errorf("%s answers %d: %v", operation, r.status, err)
		return
	}
	if err := schema.Validate(body); err != nil {
		c.t.Errorf("%s answers %d with %s: %v", operation, r.status, r.raw, err)
	}
}

func TestOpenAPI_HasWhatIsServed(t *testing.T) {
	c := readContract(t)
	got := c.operations()
	want := api.Operations()
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestOpenAPI_Answers has every operation give every answer that it can, and
// compares them with the contract: no status more, and none less.
func TestOpenAPI_Answers(t *testing.T) {
	c := readContract(t)
	s := newSite(t, func(x *api.Config) { x.SequenceWait = time.Millisecond })
	_, panics := s.serve(s.store, broken{func() error { panic("on purpose") }}.everywhere)
	now := time.Now()
	_, full := s.serve(s.store, func(x *api.Config) { x.AccountRate, x.Now = 0.1, func() time.Time { return now } })
	u := s.user()
	nobody := *u
	nobody.name = ""
	for _, operation := range c.operations() {
		method, template, _ := strings.Cut(operation, " ")
		method = strings.ToUpper(method)
		change, path := u.resource(template)
		form := func() string { return change.Encode() }
		switch one := strings.Contains(template, "{Sid}"); {
		case method != http.MethodPost:
			form = func() string { return "" }
		case one && strings.Contains(template, "Documents"):
			u.want(u.do("POST", path, "Status=opened"), 200, 0)
		case one && strings.Contains(template, "Orders"):
			form = func() string { return "Status=pending-verification" }
		case !one:
			form = func() string {
				another, _ := u.resource(template)
				return another.Encode()
			}
		}
		wrong := []reply{
			u.do(method, path+"?%zz", "%zz"),
			nobody.do(method, path, form()),
			u.do(method, path, form(), "Sec-Fetch-Site", "cross-site"),
			u.do(method, path, form(), "X-Min-Log-Sequence", "1000000"),
			u.do(method, panics+path, form()),
			u.do(method, full+path, form()),
		}
		wrong = append(wrong, u.do(method, full+path, form()))
		switch {
		case strings.Contains(template, "{Sid}"):
			sid := regexp.MustCompile("(PX|HR|AD)[0-9a-f]{32}").FindString(path)
			wrong = append(wrong, u.do(method, strings.Replace(path, sid, string(newSID(sid[:2])), 1), form()))
		case strings.Contains(template, "{AccountSid}"):
			wrong = append(wrong, u.do(method, strings.Replace(path, string(u.sid), string(newSID("AC")), 1), form()))
		}
		body := form()
		if method == http.MethodPost {
			wrong = append(
				wrong, u.do(method, path, body, "Content-Type", "application/json"), u.do(method, path, strings.Repeat("x", 300<<10)),
			)
		}
		now = now.Add(time.Hour) // for the next operation's requests
		seen := map[string]any{}
		for _, r := range append(wrong, u.do(method, path, body)) {
			c.check(operation, r)
			seen[strconv.Itoa(r.status)] = nil
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(c.responses(operation))), slices.Sorted(maps.Keys(seen))); diff != "" {
			t.Errorf("%s: statuses of the contract (-) and seen (+):\n%s", operation, diff)
		}
	}
}

// TestOpenAPI_Forms compares the fields that forms can have with those that the
// handler reads: each of them changes a document.
func TestOpenAPI_Forms(t *testing.T) {
	c := readContract(t)
	for schema, want := range map[string][]string{
		"CreatePreview": slices.Sorted(maps.Keys(form())), "CreateV2": slices.Sorted(maps.Keys(form())),
		"Update": append(slices.Sorted(maps.Keys(form())), "Status"),
	} {
		got := slices.Sorted(maps.Keys(c.at(c.raw, "components", "schemas", schema, "properties").(map[string]any)))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", schema, diff)
		}
	}
	for name, statuses := range map[string][]string{"DocumentStatus": words(workflow.Statuses), "OrderStatus": words(workflow.OrderStatuses)} {
		var got []string
		for _, s := range c.at(c.raw, "components", "schemas", name, "enum").([]any) {
			got = append(got, s.(string))
		}
		if diff := cmp.Diff(statuses, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func words[T ~string](list []T) (out []string) {
	for _, w := range list {
		out = append(out, string(w))
	}
	return out
}
