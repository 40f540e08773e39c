package api_test

import (
	"maps"
	"net/mail"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// twilios are the parts about hosted numbers of Twilio's own OpenAPI documents, by
// how their paths begin. They are twilio/twilio-oai at d50069b (MIT), without what
// is for people.
var twilios = map[string]string{
	"/HostedNumbers": "preview-hosted-numbers", "/v2": "v2-hosted-number", "/2010-04-01": "2010-addresses",
}

func readTwilios(t *testing.T, name string) *contract {
	t.Helper()
	text, err := os.ReadFile("testdata/twilio/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{t: t, compiler: jsonschema.NewCompiler()}
	if c.raw, err = jsonschema.UnmarshalJSON(strings.NewReader(string(text))); err != nil {
		t.Fatal(err)
	}
	c.raw = nullable(c.raw)
	c.compiler.AssertFormat()
	c.compiler.RegisterFormat(&jsonschema.Format{Name: "date-time-rfc-2822", Validate: func(v any) error {
		if s, ok := v.(string); ok {
			_, err := mail.ParseDate(s)
			return err
		}
		return nil
	}})
	if err := c.compiler.AddResource("openapi.json", c.raw); err != nil {
		t.Fatal(err)
	}
	return c
}

// nullable turns the nullable of OpenAPI 3.0 into what JSON Schema has.
func nullable(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = nullable(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = nullable(v[key])
		}
		if v["nullable"] == true {
			v["type"] = []any{v["type"], "null"}
		}
		if v["format"] == "uri" { // which the API of 2010 says of paths
			v["format"] = "uri-reference"
		}
	}
	return v
}

// keys are the properties of the answer that an operation gives.
func (c *contract) keys(operation string, status int) []string {
	schema := c.at(c.responses(operation)[strconv.Itoa(status)], "content", "application/json", "schema")
	properties, _ := c.at(schema, "properties").(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

// item is the schema of what a list has, nil if the operation does not list.
func (c *contract) item(operation string) []string {
	schema := c.at(c.responses(operation)["200"], "content", "application/json", "schema")
	for _, list := range []string{"items", "addresses"} {
		if properties, ok := c.at(schema, "properties", list, "items", "properties").(map[string]any); ok {
			return slices.Sorted(maps.Keys(properties))
		}
	}
	return nil
}

// TestHandler_AnswersFitTwiliosOpenAPI has every operation of Twilio's documents
// answer, and compares the answer with them: it has the keys that Twilio's has, no
// other, and values of their types.
func TestHandler_AnswersFitTwiliosOpenAPI(t *testing.T) {
	s := newSite(t)
	u := s.user()
	for prefix, name := range twilios {
		c := readTwilios(t, name)
		for _, operation := range c.operations() {
			t.Run(operation, func(t *testing.T) {
				c.t = t
				method, template, _ := strings.Cut(operation, " ")
				if !strings.HasPrefix(template, prefix) {
					t.Fatalf("the path does not begin with %s", prefix)
				}
				r, status := u.example(method, template)
				u.want(r, status, 0)
				c.check(operation, r)
				if diff := cmp.Diff(c.keys(operation, status), slices.Sorted(maps.Keys(r.body)), cmp.Transformer("empty", func(l []string) []string { return append([]string{}, l...) })); diff != "" {
					t.Errorf("keys of Twilio's answer (-) and of ours (+):\n%s", diff)
				}
				list, ok := r.body["items"].([]any)
				if !ok {
					list, ok = r.body["addresses"].([]any)
				}
				if !ok {
					return
				}
				if len(list) == 0 {
					t.Fatal("nothing is listed")
				}
				for _, item := range list {
					if diff := cmp.Diff(c.item(operation), slices.Sorted(maps.Keys(item.(map[string]any)))); diff != "" {
						t.Errorf("keys of Twilio's items (-) and of ours (+):\n%s", diff)
					}
				}
			})
		}
	}
}

// example sends a request that succeeds, and returns the answer and the status that
// it must have.
func (u *user) example(method, template string) (reply, int) {
	u.t.Helper()
	f, at := u.resource(template)
	switch {
	case method == "delete":
		return u.do("DELETE", at, ""), 204
	case method == "get":
		return u.get(at), 200
	case !strings.Contains(template, "Sid}") || strings.HasSuffix(template, "Addresses.json"):
		return u.post(at, f), 201
	case strings.Contains(template, "Orders"):
		return u.post(at, url.Values{"Status": {"pending-verification"}}), 200
	case strings.Contains(template, "Documents"):
		return u.post(at, url.Values{"Status": {"opened"}}), 200
	}
	return u.post(at, url.Values{"City": {"Oakland"}}), 200
}

// resource makes a resource for a path of a contract. It returns the path and a form
// for another one.
func (u *user) resource(template string) (f url.Values, at string) {
	u.t.Helper()
	var made reply
	switch {
	case strings.Contains(template, "Addresses"):
		made, f = u.post(u.addresses(), addressForm()), addressForm()
	case strings.Contains(template, "AuthorizationDocuments"):
		made, f = u.created(), form()
	default:
		made, f = u.ordered(), u.orderForm()
	}
	u.want(made, 201, 0)
	return f, strings.NewReplacer("{AccountSid}", string(u.sid), "{Sid}", string(made.sid()), "{SigningDocumentSid}", string(made.sid())).Replace(template)
}

// TestOpenAPI_HasTwiliosParameters compares the parameters of docs/openapi.yaml with
// those of Twilio's documents: it has all, and no other.
func TestOpenAPI_HasTwiliosParameters(t *testing.T) {
	ours := readContract(t)
	for _, name := range twilios {
		c := readTwilios(t, name)
		for _, operation := range c.operations() {
			want, got := c.parameters(operation), ours.parameters(strings.Replace(operation, "{SigningDocumentSid}", "{Sid}", 1))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: parameters of Twilio's (-) and of ours (+):\n%s", operation, diff)
			}
		}
	}
}

// parameters are the names of what the query or the form of an operation can have.
func (c *contract) parameters(operation string) (names []string) {
	method, path, _ := strings.Cut(operation, " ")
	op := c.at(c.raw, "paths", path, method)
	list, _ := c.at(op, "parameters").([]any)
	for _, p := range list {
		if c.at(p, "in") == "query" {
			names = append(names, c.at(p, "name").(string))
		}
	}
	form, _ := c.at(op, "requestBody", "content", "application/x-www-form-urlencoded", "schema", "properties").(map[string]any)
	names = slices.AppendSeq(names, maps.Keys(form))
	slices.Sort(names)
	return names
}

// TestRFC2822_IsWhatClientsRead compares a date of the API of 2010 with the form that
// Twilio's examples have.
func TestRFC2822_IsWhatClientsRead(t *testing.T) {
	s := newSite(t)
	u := s.user()
	a := u.want(u.post(u.addresses(), addressForm()), 201, 0)
	at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 +0000", a.str("date_created"))
	if err != nil || time.Since(at) > time.Minute {
		t.Errorf("%s: %v", a.str("date_created"), err)
	}
}
