package report

import (
	"html"
	"mime"
	"regexp"
	"slices"
	"strings"

	"countersign/internal/mail/mailid"
	"countersign/workflow"
)

// Mail servers that write no delivery-status part say it in words: qmail
// (QSBMF), Exim, Exchange before 2000, Domino and many more.

var (
	// statusFields matches a text that holds the fields of a report.
	statusFields = regexp.MustCompile(`(?mi)^[ \t>]*final-recipient[ \t]*:(?s:.*)^[ \t>]*(?:action|status)[ \t]*:|^[ \t>]*(?:action|status)[ \t]*:(?s:.*)^[ \t>]*final-recipient[ \t]*:`)

	// copyLine matches the line after which a mail server copies the email.
	copyLine = regexp.MustCompile(`(?mi)^[ \t>*=_-]*(?:below this line is a copy|this is a copy of|here is a copy|(?:a )?copy of (?:the|your)|(?:the )?(?:headers?|body) of (?:the|your)|(?:(?:the|your) )?(?:original|unsent|returned|undelivered|failed) (?:message|mail|e-mail)|(?:the )?message headers?|start of returned|returned message)[^\n]*$`)

	// referring matches lines of a header that refer to other messages.
	referring = regexp.MustCompile(`(?mi)^[ \t>|]*(?:in-reply-to|references|thread-[a-z]+)[ \t]*:[^\n]*(?:\n[ \t]+[^\n]*)*`)

	// codes match what a text quotes of a mail server, the surest first: a reply
	// with its status, a status in brackets or behind "#", a reply by itself, a
	// status by itself.
	codes = []*regexp.Regexp{
		regexp.MustCompile(`(?:^|[^0-9.])[45][0-5][0-9][ -]+#?([45]\.[0-7]\.[0-9]{1,3})(?:[^0-9.]|\.?$|\.\s)`),
		regexp.MustCompile(`[#(\[]\s*([45]\.[0-7]\.[0-9]{1,3})(?:[^0-9.]|\.?$|\.\s)`),
		regexp.MustCompile(`(?i)(?:said|says|error|code|response|reply|replied|status|smtp|answer\w*|returned|because|reason|:|->|>>>|<<<|\()[^\n0-9]{0,80}([45][0-5][0-9])[ :-]\s*\S`),
		regexp.MustCompile(`^\s*([45][0-5][0-9])[ :-]\s*\S`),
		regexp.MustCompile(`(?:^|[^0-9.a-zA-Z/])([45]\.[0-7]\.[0-9]{1,3})(?:[^0-9.]|\.?$|\.\s)`),
	}

	// goneWords say without a code that a mailbox is not there.
	goneWords = regexp.MustCompile(`(?i)user unknown|unknown user|no such (?:user|recipient|mailbox|address|person)|(?:user|recipient|mailbox|account|address)[^\n]{0,40}(?:not found|doesn't exist|does not exist|is unknown|not known|is disabled|not listed)|unrouteable address|no mailbox here by that name|unknown (?:or illegal )?(?:alias|recipient|address)|invalid recipient|not listed in (?:public |domino )?(?:name|directory)|unbekannt|destinataire inconnu|n'existe pas|no existe|inesistente|inexistente|не существует|存在しません|不存在|없는 사용자`)
	// delayWords say that a mail is still being tried.
	delayWords = regexp.MustCompile(`(?i)delay|will (?:keep|continue)|still (?:being )?(?:try|tried|retr)|not yet been|could not be delivered for|warning|no (?:action|need)|verzögert|retard|retras|задерж`)

	// daemons match the senders that write reports.
	daemons = regexp.MustCompile(`(?i)(?:mailer[-_.]?daemon|mail[-_.]?daemon|postmaster|mdaemon|mail delivery (?:sub)?system|microsoftexchange[0-9a-f]{8,}|mail-?system|bounces?[-+_.@][^>]*noreply)`)

	// personal matches the subjects of replies and forwarded messages of
	// people.
	personal = regexp.MustCompile(`(?i)^\s*(?:re|fwd?|aw|wg|tr|rv|sv|antw)\s*:`)

	// failureSubject matches the subjects of reports, in the languages of the big
	// providers.
	failureSubject = regexp.MustCompile(`(?i)undeliver|delivery (?:status|failure|notification|delay|has failed|problem|report|error)|deliver(?:y|ed)? fail|failure notice|returned mail|mail delivery|mail system error|non[- ]?delivery|could not be delivered|delivery status|nondeliverable|message delayed|unzustellbar|zustellung|unzustellung|non (?:remis|distribu)|échec de la remise|no (?:se puede|se ha podido|se pudo) entregar|no entregado|mancat[ao] recapito|impossibile recapitare|não (?:pôde|entregue|é possível)|falha na entrega|onbestelbaar|niet (?:bezorgd|afgeleverd)|не (?:доставлено|удалось доставить)|недоставлен|退信|退回|无法投递|未能送达|配信(?:不能|できません|エラー)|送信できません|반송|niedostarcz|niet besteld|kunne ikke leveres|kunde inte levereras`)
	// awaySubject matches the subjects of vacation notices.
	awaySubject = regexp.MustCompile(`(?i)^(?:(?:re|aw|sv|antw|rif)\s*:\s*)*\s*\[?(?:out of (?:the )?office|automatic(?:ally)? (?:generated )?repl|auto(?:matic)?[- ]?(?:reply|response|respuesta)|autoreply|abwesenheit|automatische (?:antwort|abwesenheits)|réponse automatique|absence du bureau|respuesta automática|fuera de (?:la )?oficina|risposta automatica|resposta automática|automatisch antwoord|afwezig|автоответ|автоматический ответ|自动回复|自動返信|vacation)`)
)

// givenUp matches the words by which qmail, Exim and others say that they gave an
// email up.
var givenUp = regexp.MustCompile(`(?i)this is a permanent error|i've given up|below this line is a copy of the message|could not be delivered to one or more of its\s+recipients\. this is a permanent`)

const (
	maxSaid   = 128 << 10 // bytes in which a mail server says what happened to an email
	maxCopies = 20        // lines that may begin a copy
	maxCopied = 64 << 10  // bytes of it that are read
)

// splitCopy splits a text into what a mail server says and the header of the
// mail that it copies below, nil if there is none.
func splitCopy(text string) (before string, copied []field) {
	for _, at := range copyLine.FindAllStringIndex(text, maxCopies) {
		rest := strings.TrimLeft(text[at[1]:min(len(text), at[1]+maxCopied)], "\n -=_*")
		header := parseEntity([]byte(rest)).header
		known := 0
		for _, f := range header {
			if slices.Contains([]string{"message-id", "from", "to", "subject", "date", "received", "return-path", strings.ToLower(mailid.Header)}, f.name) {
				known++
			}
		}
		if known >= 2 {
			return text[:at[0]], header
		}
	}
	return text, nil
}

// inWords reads the words of a mail server that sends no delivery-status part;
// ok is false if they cannot be understood.
func (m *found) inWords() (b workflow.Bounced, ok bool) {
	text := strings.Join(m.words, "\n")
	text = text[:min(len(text), maxSaid)]
	code, line := strongest(text)
	switch {
	case code != "":
	case fullMailbox.MatchString(text):
		code, line = "5.2.2", lineOf(text, fullMailbox)
	case goneWords.MatchString(text):
		code, line = "5.0.0", lineOf(text, goneWords)
	case givenUp.MatchString(text), m.head.get("x-failed-recipients") != "" && !delayWords.MatchString(text):
		code, line = "5.0.0", lineOf(text, givenUp)
	default:
		return b, false
	}
	if generic(code) && full(line) {
		code = code[:1] + ".2.2"
	}
	b = workflow.Bounced{Action: workflow.ActionFailed, Status: code, Diagnostic: fit(line)}
	if code[0] == '4' && delayWords.MatchString(text+m.head.get("subject")) {
		b.Action = workflow.ActionDelayed
	}
	return b, true
}

// strongest returns the status that a text quotes, and the line that quotes it:
// the first permanent one (5.x.x), or else the first transient one (4.x.x).
func strongest(text string) (code, line string) {
	for _, pattern := range codes {
		for l := range strings.Lines(text) {
			for _, m := range pattern.FindAllStringSubmatch(strings.TrimRight(l, "\n"), -1) {
				c := m[1]
				if !strings.Contains(c, ".") {
					c = c[:1] + ".0.0"
				}
				if code == "" || code[0] == '4' && c[0] == '5' {
					code, line = c, strings.TrimSpace(l)
				}
			}
		}
		if code != "" {
			return code, line
		}
	}
	return "", ""
}

func lineOf(text string, pattern *regexp.Regexp) string {
	at := pattern.FindStringIndex(text)
	if at == nil {
		return ""
	}
	begin := strings.LastIndexByte(text[:at[0]], '\n') + 1
	line, _, _ := strings.Cut(text[begin:], "\n")
	return strings.TrimSpace(line)
}

var (
	tags    = regexp.MustCompile(`(?s)<(?:style|script)\b.*?</(?:style|script)>|<!--.*?-->|<[a-zA-Z/!][^<>]*>`)
	newLine = regexp.MustCompile(`(?i)<(?:br|p|div|tr|li|h[1-6]|pre)\b[^<>]*>|</(?:p|div|tr|li|h[1-6]|pre)>`)
)

// fromHTML returns the text of an HTML page.
func fromHTML(page string) string {
	return html.UnescapeString(tags.ReplaceAllString(newLine.ReplaceAllString(page, "\n"), ""))
}

// decodeWords decodes the encoded words of a header field (RFC 2047), as far as
// they can be.
func decodeWords(s string) string {
	if plain, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
		return plain
	}
	return s
}
