package web_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"countersign/events"
	"countersign/internal/loa"
	"countersign/internal/web"
	"countersign/workflow"
)

// foreign are names that the letter cannot print: case a3, and others of its
// kind. The first character of each is the one that the page names.
var foreign = []string{
	"山田太郎", "王小明", "ひらがな", "محمد عبد الله", "فاطمة", "דוד כהן", "שרה לוי", "राजेश कुमार", "अनिता",
	"สมชาย ใจดี", "ธนพล", "김민준", "이서연", "Արամ", "გიორგი",
}

// named is how the page names the first character of a name.
func named(name string) string {
	r := []rune(name)[0]
	return fmt.Sprintf("%c (%U)", r, r)
}

func TestPost_NameThatCannotPrintIsRefusedAtItsField(t *testing.T) {
	o := newOffice(t)
	for _, name := range append(foreign, "😀 Zoë", "\U00020BB7野家 Zoë", "\ufffd Zoë") {
		for _, field := range []string{"name", "title"} {
			form := o.form()
			form.Set(field, name)
			for path, says := range map[string]string{"en": "cannot print the character ", "es": "no puede imprimir el carácter "} {
				form.Set("version", versionOf(o, path))
				code, body := o.postTo("/sign/"+o.token(t, 2)+"?lang="+path, form)
				o.wants(code, 422, body, says+named(name))
				if !strings.Contains(body, `<a href="#`+field+`">`) || !strings.Contains(body, `aria-invalid="true"`) {
					t.Errorf("%s %q: no summary that leads to the field:\n%s", field, name, body)
				}
			}
		}
	}
	o.stands(workflow.Signing)
	if len(o.signed) > 0 {
		t.Error("a letter was signed")
	}
}

// versionOf is the version that the page shows in a language.
func versionOf(o *office, language string) string {
	_, body := o.get(o.t, "/sign/"+o.token(o.t, 2)+"?lang="+language)
	return field(o.t, body, "version")
}

// TestPost_DecomposedNameIsKeptComposed has case a2: marks typed as characters
// of their own.
func TestPost_DecomposedNameIsKeptComposed(t *testing.T) {
	for typed, want := range map[string]string{
		"Jose\u0301 N\u0303un\u0303ez Mu\u0308ller":                                "José Ñuñez Müller",
		"Nguye\u0302\u0303n Thi\u0323 Ho\u0302\u0300ng":                            "Nguyễn Thị Hồng",
		"\u0391\u0313\u03c1\u03b9\u03c3\u03c4\u03bf\u03c4\u03ad\u03bb\u03b7\u03c2": "Ἀριστοτέλης",
	} {
		o := newOffice(t)
		form := o.form()
		form.Set("name", typed)
		form.Set("title", typed)
		code, body := o.post(form)
		o.wants(code, 200, body, "Thank you")
		var e struct{ Name, Title string }
		if err := json.Unmarshal(o.stands(workflow.Signed).Evidence, &e); err != nil {
			t.Fatal(err)
		}
		if e.Name != want || e.Title != want || o.signed[0].Name != want || o.signed[0].Title != want {
			t.Errorf("%+q is kept as %+q, %+q and signed as %+q", typed, e.Name, e.Title, o.signed[0].Name)
		}
	}
}

// TestPost_LetterThatCannotPrintIsNotSigned has such a text in each part of the
// letter that the signer does not type.
func TestPost_LetterThatCannotPrintIsNotSigned(t *testing.T) {
	for i, name := range foreign {
		provider := "Example Messaging"
		c := workflow.Updated{ContactTitle: new("Owner")}
		w := loa.Of(provider, []string{"en", "es"}[i%2])
		part := w.Subscriber
		switch i % 4 {
		case 0:
			c.Subscriber = &name
		case 1:
			part = w.Address
			c.ServiceAddress = &workflow.ServiceAddress{Street: name, City: "Austin"}
		case 2:
			part, provider = w.Provider, name
		case 3:
			part = w.Carrier
			c.HostedNumberOrders = &[]workflow.OrderRef{{SID: order, PhoneNumber: "+14155550199", CurrentCarrier: name}}
		}
		t.Run(part+" "+name, func(t *testing.T) {
			o := newOffice(t, func(c *web.Config) { c.Provider = provider })
			o.append(o.status("back", workflow.StatusChanged{Status: workflow.Opened}))
			o.append(events.Updated("/orders", "u", letter().AccountSID, sid, c))
			o.append(o.status("on", workflow.StatusChanged{Status: workflow.Signing}))
			o.stands(workflow.Signing)
			path := "/sign/" + o.token(t, 3) + "?lang=" + w.Language
			code, body := o.get(t, path)
			o.wants(code, 200, body, part, named(name))
			form := answers()
			form.Set("version", field(t, body, "version"))
			code, body = o.postTo(path, form)
			o.wants(code, 422, body, part, named(name))
			o.stands(workflow.Signing)
			if len(o.signed) > 0 {
				t.Error("a letter was signed")
			}
			form.Set("action", "decline")
			form.Set("confirm", "yes")
			code, body = o.postTo(path, form)
			o.wants(code, 200, body)
			o.stands(workflow.Canceled)
		})
	}
}
