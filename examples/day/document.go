package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// line is one line of day.jsonl.
type line struct {
	Subject string `json:"subject"`
	After   string `json:"after,omitempty"`
	Data    event  `json:"data"`
}

// event is a CloudEvent.
type event struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Time        time.Time `json:"time"`
	ContentType string    `json:"datacontenttype"`
	Data        any       `json:"data"`
}

type object map[string]any

// day gathers what the scenes say.
type day struct {
	lines      []line
	at         []time.Time // of each line; a repeated line keeps the time in its event
	documents  map[string]*expectation
	ids        map[string]int  // events of each customer so far
	announced  map[string]bool // orders whose numbers are known by their own events
	numbers    map[string]int  // numbers taken so far behind each prefix
	duplicates int
	refused    int
	dead       int
}

// inOrder is the lines in the order of the day.
func (d *day) inOrder() []line {
	index := make([]int, len(d.lines))
	for i := range index {
		index[i] = i
	}
	slices.SortStableFunc(index, func(a, b int) int { return d.at[a].Compare(d.at[b]) })
	out := make([]line, len(index))
	for i, j := range index {
		out[i] = d.lines[j]
	}
	return out
}

// number is the next unused number behind a prefix that is kept for fiction.
func (d *day) number(prefix string) string {
	n := d.numbers[prefix]
	d.numbers[prefix]++
	if strings.HasPrefix(prefix, "+1") {
		return fmt.Sprintf("%s%02d", prefix, n)
	}
	return fmt.Sprintf("%s%03d", prefix, n)
}

// sid makes a sid that follows from what it names.
func sid(letters, of string) string {
	sum := sha256.Sum256([]byte(letters + of))
	return letters + hex.EncodeToString(sum[:16])
}

// order is a Hosted Number Order.
type order struct{ sid, number string }

// document is an Authorization Document that plays in a scene. Its methods
// write events, and what has to come of them into want.
type document struct {
	*day
	account  account
	sid      string
	customer string // domain
	name     string // of the signer
	title    string
	email    string
	phone    string
	cc       []string
	orders   []order
	sidsOnly bool // the upstream service names the orders without their numbers
	held     bool
	clock    time.Time // when the next event is published
	after    string    // the subject that the next event waits for
	want     *expectation
}

// wait lets minutes pass.
func (d *document) wait(minutes int) *document {
	d.clock = d.clock.Add(time.Duration(minutes) * time.Minute)
	return d
}

// once makes the next event wait for one of this document: "became.signing.1".
func (d *document) once(what string) *document {
	return d.onceOf(d, what)
}

// onceOf makes it wait for one of another document.
func (d *document) onceOf(other *document, what string) *document {
	d.after = other.subject(what)
	return d
}

// successor is another document of the same customer, with the same orders,
// for another person to sign.
func (d *document) successor(name, title string) *document {
	e := *d
	e.sid, e.name, e.title, e.email = sid("PX", d.sid), name, title, mailbox(name, d.customer)
	return &e
}

func (d *document) subject(what string) string {
	return "authdocs.v1." + sid("AC", d.account.name) + "." + d.sid + "." + what
}

// say writes an event and returns its line.
func (d *document) say(source, what, typ string, data any) int {
	slug, _, _ := strings.Cut(d.customer, ".")
	d.ids[slug]++
	l := line{Subject: d.subject(what), Data: event{
		SpecVersion: "1.0", ID: fmt.Sprintf("%s-%d", slug, d.ids[slug]), Source: source, Type: typ,
		Time: d.clock, ContentType: "application/json", Data: data,
	}}
	l.After, d.after = d.after, ""
	d.lines, d.at = append(d.lines, l), append(d.at, d.clock)
	d.clock = d.clock.Add(7 * time.Second)
	return len(d.lines) - 1
}

// again publishes a line once more, as a service does that lost its ack.
func (d *document) again(i int) {
	d.lines, d.at = append(d.lines, d.lines[i]), append(d.at, d.clock)
	d.duplicates++
}

// content is the data of a created event.
func (d *document) content() object {
	data := object{
		"address_sid": sid("AD", d.customer), "email": d.email,
		"contact_title": d.title, "contact_phone_number": d.phone,
	}
	if len(d.cc) > 0 {
		data["cc_emails"] = d.cc
	}
	if d.held {
		data["hold"] = true
	}
	if d.sidsOnly {
		data["hosted_number_order_sids"] = d.orderSIDs()
	} else {
		data["hosted_number_orders"] = d.orderRefs()
	}
	return data
}

func (d *document) orderSIDs() []string {
	var sids []string
	for _, o := range d.orders {
		sids = append(sids, o.sid)
	}
	return sids
}

func (d *document) orderRefs() []object {
	var refs []object
	for _, o := range d.orders {
		refs = append(refs, object{"sid": o.sid, "phone_number": o.number})
	}
	return refs
}

// announce says that the document is created, whatever comes of it.
func (d *document) announce() int {
	return d.say(desk, "created", "authorization_document.created", d.content())
}

// announceOrders says what the numbers of the orders are, for a document that
// names the orders alone.
func (d *document) announceOrders() {
	after := d.after
	d.after = ""
	for _, o := range d.orders {
		if d.announced[o.sid] {
			continue
		}
		d.announced[o.sid] = true
		i := d.say(hosting, "", "hosted_number_order.created", object{
			"phone_number": o.number, "address_sid": sid("AD", d.customer), "capabilities": object{"sms": true},
		})
		d.lines[i].Subject = "authdocs.v1." + sid("AC", d.account.name) + "._.order." + o.sid + ".created"
	}
	d.after = after
}

// create opens the document, and sends it unless it is held.
func (d *document) create() int {
	if d.sidsOnly {
		d.announceOrders()
	}
	i := d.announce()
	d.want = &expectation{Orders: map[string]string{}, Mails: mails{}, Rejected: mails{}}
	for _, o := range d.orders {
		d.want.Orders[o.sid] = "received"
	}
	d.documents[d.sid] = d.want
	d.want.move("opened", 1)
	if !d.held {
		d.sent()
	}
	return i
}

// sent is what follows when the signature mail leaves.
func (d *document) sent() {
	if strings.HasPrefix(d.email, "no-such-user@") {
		d.want.Rejected.add("signature", d.email)
		d.want.move("failed", d.want.Round)
		return
	}
	d.want.Mails.add("signature", d.email)
	d.want.move("signing", d.want.Round)
	d.want.orders("pending-loa", "received")
	for _, to := range distinct(d.cc...) {
		d.want.Mails.add("sent", to)
	}
}

// distinct tells addresses apart without regard to case.
func distinct(addresses ...string) []string {
	seen := map[string]string{}
	for _, a := range addresses {
		seen[strings.ToLower(a)] = a
	}
	return slices.Collect(maps.Values(seen))
}

// update changes a held document.
func (d *document) update(data object) {
	d.say(desk, "updated", "authorization_document.updated", data)
}

// status asks for a status; what comes of it is its caller's to say.
func (d *document) status(source, status string, data object) int {
	if data == nil {
		data = object{}
	}
	data["status"] = status
	return d.say(source, "status", "authorization_document.status_changed", data)
}

// send sends a held document.
func (d *document) send() {
	d.held = false
	d.status(desk, "signing", nil)
	d.sent()
}

// recall takes a document back, to be changed.
func (d *document) recall() {
	d.status(desk, "opened", object{"reason": "the customer asked for a change"})
	d.held = true
	d.want.move("opened", d.want.Round+1)
	d.want.orders("received", "pending-loa")
}

// signature is the data of the event that says that the signer signed.
func (d *document) signature() object {
	digest := sha256.Sum256([]byte(d.sid + d.email))
	return object{
		"letter_digest": "sha256:" + hex.EncodeToString(digest[:]),
		"evidence": object{
			"name_typed": d.name, "consent_version": "2026-09", "time": d.clock,
			"ip": fmt.Sprintf("203.0.113.%d", digest[0]), "user_agent": browsers[int(digest[1])%len(browsers)],
		},
	}
}

// sign has the signer sign, once the document is with them.
func (d *document) sign() int {
	i := d.status(signing, "signed", d.signature())
	d.signed()
	return i
}

// signed is what follows from the signature.
func (d *document) signed() {
	d.want.move("signed", d.want.Round)
	d.want.Register = len(d.orders)
	d.want.orders("carrier-processing")
	for _, to := range distinct(append([]string{d.email}, d.cc...)...) {
		d.want.Mails.add("signed", to)
	}
}

// cancel ends a document that has not ended.
func (d *document) cancel(source, by, reason string) {
	d.status(source, "canceled", object{"canceled_by": by, "reason": reason})
	d.ended("canceled")
}

// fail ends a document that upstream has given up.
func (d *document) fail(reason string) {
	d.status(desk, "failed", object{"reason": reason})
	d.ended("failed")
}

func (d *document) ended(status string) {
	d.want.move(status, d.want.Round)
	d.want.orders("received", "pending-loa")
}

// report is the order service's word on an order whose register event stands
// on the log.
func (d *document) report(o order, status string, more object) {
	data := object{"status": status}
	for k, v := range more {
		data[k] = v
	}
	d.once("order."+o.sid+".register").say(hosting, "order."+o.sid+".status", "hosted_number_order.status_changed", data)
	d.want.Orders[o.sid] = status
}
