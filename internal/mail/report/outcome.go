package report

import (
	"regexp"
	"slices"
	"strings"

	"countersign/internal/redact"
	"countersign/workflow"
)

// outcome returns what a message says happened to an email; ok is false if it
// says nothing about one.
func (m *found) outcome() (b workflow.Bounced, ok bool) {
	if b, ok = mildest(recipients(m.status)); ok {
		return b, ok
	}
	if kind, params := m.head.kind(); kind == "multipart/report" && strings.EqualFold(params["report-type"], "disposition-notification") {
		return b, false
	}
	if !m.machine() {
		return b, false
	}
	if b, ok = mildest(recipients(m.loose)); ok {
		return b, ok
	}
	return m.inWords()
}

// perRecipient are the fields that each recipient has at most once.
var perRecipient = []string{"final-recipient", "action", "status"}

// recipients sorts the fields of a report by recipient. Empty lines between
// recipients may be missing, and there may be empty lines between the fields of
// one.
func recipients(blocks [][]field) (groups []map[string]string) {
	var group map[string]string
	for _, block := range blocks {
		another := slices.ContainsFunc(block, func(f field) bool { return f.name == "final-recipient" })
		if another && whole(group) {
			group = nil
		}
		for _, f := range block {
			key := slices.Contains(perRecipient, f.name)
			if _, twice := group[f.name]; group == nil && key || twice && key {
				group = make(map[string]string)
				groups = append(groups, group)
			}
			at := group
			if at == nil && len(groups) > 0 {
				at = groups[len(groups)-1]
			}
			if _, twice := at[f.name]; at != nil && !twice {
				at[f.name] = f.value
			}
		}
	}
	return groups
}

// whole reports whether the necessary fields of a recipient are present.
func whole(group map[string]string) bool {
	return group["final-recipient"] != "" && group["action"]+group["status"] != ""
}

// severity orders the actions: if an email was forwarded to several addresses,
// it is lost only if all of them failed.
var severity = []workflow.Action{
	workflow.ActionDelivered, workflow.ActionRelayed, workflow.ActionExpanded, workflow.ActionDelayed, workflow.ActionFailed,
}

// mildest returns the best outcome of all recipients; ok is false if there is
// none.
func mildest(groups []map[string]string) (b workflow.Bounced, ok bool) {
	for _, g := range groups {
		action := actionOf(g)
		if action == "" {
			continue
		}
		r := workflow.Bounced{Action: action, Status: statusOf(action, g), Diagnostic: diagnosticOf(g)}
		if better := slices.Index(severity, action) - slices.Index(severity, b.Action); !ok || better < 0 || better == 0 && b.Hard() && !r.Hard() {
			b, ok = r, true
		}
	}
	return b, ok
}

var (
	status = regexp.MustCompile(`(?:^|[^0-9.])([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[^0-9.]|\.?$|\.\s)`)
	reply  = regexp.MustCompile(`^[245][0-9][0-9]\b`)
	// diagnosticType is the type before the words: "smtp;", "x-postfix;".
	diagnosticType = regexp.MustCompile(`^[A-Za-z0-9-]+ *; *`)
	// links matches our links, and everything that contains a word as long as
	// their tokens: mail servers quote links in different ways, for example
	// with every slash encoded.
	links = regexp.MustCompile(`\S*(?:/sign/|/letter/|[A-Za-z0-9_-]{71})\S*`)
	// fullMailbox are the words for a mailbox that takes no more mail now.
	fullMailbox = regexp.MustCompile(`(?i)(?:mail ?)?box (?:is )?(?:full|over)|over ?quota|quota (?:is |has been )?(?:exceeded|full)|exceed\w* (?:\S+ ){0,4}(?:quota|storage)|(?:out of|insufficient|not enough) (?:\S+ ){0,2}(?:disk|storage|space)|账?邮箱(?:已满|空间不足)|boîte (?:de réception )?pleine|postfach (?:ist )?voll|buzón lleno|casella piena|caixa (?:postal )?cheia|ящик переполнен`)
	action      = regexp.MustCompile(`^[a-z]+`)
)

// actionOf returns what happened to the email for a recipient, "" if nothing
// says it. If the action is missing or unknown, it is derived from the status,
// or else from the words.
func actionOf(group map[string]string) workflow.Action {
	word := workflow.Action(action.FindString(strings.ToLower(strings.TrimSpace(group["action"]))))
	if slices.Contains(severity, word) {
		return word
	}
	code := classOf(group)
	switch {
	case code == "5":
		return workflow.ActionFailed
	case code == "4":
		return workflow.ActionDelayed
	case code == "2" && group["status"] != "":
		return workflow.ActionDelivered
	}
	switch word {
	case "fail", "failure", "undeliverable", "undelivered", "bounced", "rejected", "returned":
		return workflow.ActionFailed
	case "delay", "deferred", "queued":
		return workflow.ActionDelayed
	}
	return ""
}

// classOf is the first digit of the status, or else of the reply in the words.
func classOf(group map[string]string) string {
	if m := status.FindStringSubmatch(group["status"]); m != nil {
		return m[1][:1]
	}
	if code := reply.FindString(strings.TrimSpace(group["status"])); code != "" {
		return code[:1]
	}
	words := diagnosticType.ReplaceAllString(group["diagnostic-code"], "")
	if code := reply.FindString(words); code != "" {
		return code[:1]
	}
	if m := status.FindStringSubmatch(words); m != nil {
		return m[1][:1]
	}
	return ""
}

// statusOf returns the status of a recipient. If the mail server leaves it out,
// its class is derived from the words, or else from the action. Often only the
// words say that a mailbox is full.
func statusOf(action workflow.Action, group map[string]string) string {
	words := diagnosticType.ReplaceAllString(group["diagnostic-code"], "")
	s := ""
	if m := status.FindStringSubmatch(group["status"]); m != nil {
		s = m[1]
	} else if class := classOf(group); class != "" {
		s = class + ".0.0"
	} else {
		s = map[workflow.Action]string{workflow.ActionFailed: "5.0.0", workflow.ActionDelayed: "4.0.0"}[action]
	}
	switch {
	case s == "":
		return "2.0.0"
	case generic(s) && full(words):
		return s[:1] + ".2.2"
	}
	return s
}

// generic reports whether a status says no more than its class.
func generic(s string) bool { return strings.HasSuffix(s, ".0.0") || s == "5.2.0" || s == "4.2.0" }

// full reports whether a mail server's words say that the mailbox is full.
func full(words string) bool {
	if m := status.FindStringSubmatch(words); m != nil && !generic(m[1]) {
		return strings.HasSuffix(m[1], ".2.2")
	}
	return fullMailbox.MatchString(words)
}

// diagnosticOf returns the mail server's words about a recipient, without
// addresses and our links.
func diagnosticOf(group map[string]string) string {
	words := diagnosticType.ReplaceAllString(group["diagnostic-code"], "")
	return fit(words)
}

// fit removes addresses and our links from words.
func fit(words string) string { return redact.Reply(links.ReplaceAllString(words, redact.Gone)) }
