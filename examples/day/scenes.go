package main

import (
	"slices"
	"strings"
)

// A scene is what happens to a document from its creation on.
type scene func(d *document)

// What scenes wait for most.
const (
	sent     = "became.signing.1"
	resent   = "became.signing.2"
	opened   = "became.opened.1"
	reopened = "became.opened.2"
	canceled = "became.canceled.1"
	failed   = "became.failed.1"
)

// signs: created, sent, signed.
func signs(d *document) {
	d.create()
	d.wait(17 + len(d.orders)*5).once(sent).sign()
}

// live: signed, and every number is taken over.
func live(d *document) {
	signs(d)
	for i, o := range d.orders {
		d.wait(20)
		if i == 0 {
			d.report(o, "carrier-processing", nil) // which it is already
		}
		more := object{}
		if d.sidsOnly {
			more["phone_number"] = o.number
		}
		d.report(o, "testing", more)
		d.wait(6).report(o, "completed", nil)
	}
}

// troubled: signed, and the carrier makes trouble about a number.
func troubled(d *document) {
	signs(d)
	d.wait(25).report(d.orders[0], "completed", nil)
	d.wait(1).report(d.orders[1], "action-required", object{"failure_reason": "the carrier asks for a recent invoice"})
	d.wait(1).report(d.orders[2], "failed", object{"failure_reason": "the number is not in service at the losing carrier"})
}

// signerInCC: the signer also stands in cc.
func signerInCC(d *document) {
	d.cc = append(d.cc, d.email)
	signs(d)
}

// ccTwice: the same cc, shouted once.
func ccTwice(d *document) {
	d.cc = append(d.cc, strings.ToUpper(d.cc[0][:1])+d.cc[0][1:])
	signs(d)
}

// waiting: sent, and nobody has signed by the end of the day.
func waiting(d *document) { d.create() }

// held: not to be sent yet.
func held(d *document) {
	d.held = true
	d.create()
}

// edited: held, corrected, sent, signed.
func edited(d *document) {
	held(d)
	d.cc = append(slices.Clone(d.cc), "counsel@"+d.customer)
	d.title = "Authorized " + strings.ToLower(d.title)
	d.wait(9).update(object{"contact_title": d.title, "cc_emails": d.cc})
	d.wait(2).send()
	d.wait(31).once(sent).sign()
}

// recalled: sent to the wrong person, taken back, sent to the right one, signed.
func recalled(d *document) {
	right := d.email
	d.email = "reception@" + d.customer
	d.create()
	d.wait(12).once(sent).recall()
	d.email = right
	d.wait(3).once(reopened).update(object{"email": right})
	d.send()
	d.wait(26).once(resent).sign()
}

// takenBack: recalled, and then not wanted any more.
func takenBack(d *document) {
	d.create()
	d.wait(15).once(sent).recall()
	d.wait(40).once(reopened).cancel(desk, "account", "the customer keeps the old numbers")
}

// declines: the signer does not want to.
func declines(d *document) {
	d.create()
	d.wait(44).once(sent).cancel(signing, "signer", "These are not our numbers.")
}

// declinesThenSigns: the second thought comes too late.
func declinesThenSigns(d *document) {
	declines(d)
	d.wait(5).once(canceled).status(signing, "signed", d.signature())
	d.refused++
}

// withdrawn: the account takes it back; its first order goes to a document
// with another signer.
func withdrawn(d *document) {
	d.create()
	d.wait(20).once(sent).cancel(desk, "account", "the company has been sold")
	e := d.successor("Priya Raman", "Managing director")
	e.orders = e.orders[:1]
	e.wait(11).onceOf(d, canceled).create()
	e.wait(50).once(sent).sign()
}

// neverSent: held, and then not wanted.
func neverSent(d *document) {
	held(d)
	d.wait(60).cancel(desk, "account", "ordered twice by mistake")
}

// givenUp: upstream cannot go on.
func givenUp(d *document) {
	d.create()
	d.wait(35).once(sent).fail("the address on the letter could not be verified")
}

// unreachable: the signer's address does not exist. The corrected document
// takes over the orders.
func unreachable(d *document) {
	right := d.email
	d.email = "no-such-user@" + d.customer
	d.create()
	e := d.successor(d.name, d.title)
	e.email = right
	e.wait(14).onceOf(d, failed).create()
	e.wait(22).once(sent).sign()
}

// lost: the signer's address does not exist, and nobody knows a better one.
func lost(d *document) {
	d.email = "no-such-user@" + d.customer
	d.create()
}

// greylisted: the mail server takes the mail at the second try only.
func greylisted(d *document) {
	d.email = "greylisted." + d.email
	d.create()
}

// outran: the signature is on the log before the document.
func outran(d *document) {
	d.status(signing, "signed", d.signature())
	d.wait(2).create()
	d.signed()
}

// hasty: the signature is on the log right behind the document.
func hasty(d *document) {
	d.create()
	d.sign()
}

// lateEdit: an edit of what has been sent is refused.
func lateEdit(d *document) {
	d.create()
	d.wait(8).once(sent).update(object{"contact_title": "Chief of staff"})
	d.refused++
	d.wait(30).once(sent).sign()
}

// doubleBooked: another document wants one of its orders, and cannot have it.
func doubleBooked(d *document) {
	d.create()
	e := d.successor("Tom Baxter", "Office manager")
	e.orders = e.orders[1:]
	e.wait(4).onceOf(d, opened).announce()
	d.refused++
	d.wait(33).once(sent).sign()
}

// typo: an address that is none; the next event has it right.
func typo(d *document) {
	right := d.email
	d.email = strings.Replace(right, "@", "@@", 1)
	d.announce()
	d.dead++
	d.email = right
	d.wait(6)
	signs(d)
}

// scribble: data that is not an object, and a document that never comes.
func scribble(d *document) {
	d.say(desk, "created", "authorization_document.created", "see the letter attached")
	d.dead++
}

// echoed: each event twice, at once and hours later.
func echoed(d *document) {
	created := d.create()
	d.again(created)
	signed := d.wait(28).once(sent).sign()
	d.again(signed)
	d.wait(180).again(created)
	d.again(signed)
}

// lateEcho: the created event once more, hours after the end.
func lateEcho(d *document) {
	created := d.create()
	d.wait(19).once(sent).sign()
	d.wait(240).again(created)
}
