package main

import (
	"html/template"
	"strings"
	texttemplate "text/template"

	"github.com/wneessen/go-mail"
)

const font = `font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:24px;color:#1b2032`

// page and text are the naive loop's email: about 8 kB, as emails with a HTML part
// are that look right in every mail program.
var page = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{{.Title}}</title>
<style>@media (prefers-color-scheme:dark){body,.outer{background:#14161d!important}.card{background:#1e212b!important}h1,p,td{color:#eceef4!important}}@media (max-width:620px){.card{width:100%!important}}</style></head>
<body style="margin:0;padding:0;background:#eef0f5"><div style="display:none;max-height:0;overflow:hidden">{{.Title}}` + strings.Repeat("&#847;&zwnj;&nbsp;", 40) + `</div>
<table role="presentation" class="outer" width="100%" cellpadding="0" cellspacing="0" style="background:#eef0f5"><tr><td align="center" style="padding:24px 12px">
<table role="presentation" class="card" width="600" cellpadding="0" cellspacing="0" style="width:600px;max-width:600px;background:#ffffff;border-radius:8px;border-top:4px solid #2a5fd0"><tr><td style="padding:32px">
<h1 style="` + font + `;font-size:24px;line-height:32px">{{.Title}}</h1>
{{range .Paragraphs}}<p style="margin:0 0 16px;` + font + `">{{.}}</p>
{{end}}<table role="presentation" cellpadding="0" cellspacing="0" style="margin:0 0 24px"><tr><td style="border-radius:6px;background:#2352bd"><a href="{{.Link}}" style="display:inline-block;padding:14px 28px;` + font + `;color:#ffffff;text-decoration:none">Read and sign</a></td></tr></table>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="margin:0 0 24px;border-top:1px solid #d8dce6">{{range .Numbers}}<tr><td style="padding:12px 16px;border-bottom:1px solid #d8dce6;` + font + `">{{.}}</td></tr>{{end}}</table>
{{range .Paragraphs}}<p style="margin:0;` + font + `;font-size:13px;line-height:20px">{{.}}</p>{{end}}
</td></tr></table></td></tr></table></body></html>
`))

var text = texttemplate.Must(texttemplate.New("").Parse(`{{.Title}}

{{range .Paragraphs}}{{.}}

{{end}}{{.Link}}

{{range .Numbers}}  {{.}}
{{end}}`))

var paragraphs = []string{
	"This letter authorizes us to take over the telephone numbers below from their present carrier, and to route calls and messages to them over our network.",
	"Signing takes about two minutes. You can decline, or say that you are not the right person to ask; then we send the letter to whom you name.",
	"You receive this email because a hosting agreement names you as a party to it. Nobody else can see the link in it, which works until the letter is signed.",
}

// letter writes one email of a document with go-mail.
func letter(document, title, to string, d incoming) (*mail.Msg, error) {
	m := mail.NewMsg()
	if err := m.From("loa@countersign.example"); err != nil {
		return nil, err
	}
	if err := m.To(to); err != nil {
		return nil, err
	}
	m.Subject(title + ": letter of authorization")
	m.SetMessageIDWithValue(document + "." + strings.ToLower(strings.ReplaceAll(title, " ", "-")) + "." + to)
	m.SetDate()
	var numbers []string
	for _, o := range d.Data.Orders {
		numbers = append(numbers, o.Number)
	}
	content := struct {
		Title, Link         string
		Paragraphs, Numbers []string
	}{title, "https://sign.example/" + document, paragraphs, numbers}
	if err := m.SetBodyTextTemplate(text, content); err != nil {
		return nil, err
	}
	return m, m.AddAlternativeHTMLTemplate(page, content)
}
