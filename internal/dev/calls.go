package dev

import (
	"context"
	"fmt"
	"net/smtp"
	"strings"

	"github.com/nats-io/nats.go"

	"countersign/events"
	"countersign/workflow"
)

// answerCalls stands in for a telephony service until ctx ends: it puts what a
// call would say into the inbox, as a mail to the number. It fails if it cannot
// listen to the log.
func (d *Dev) answerCalls(ctx context.Context) error {
	calls := make(chan *nats.Msg, 64)
	listening, err := d.Worker.Conn().ChanSubscribe(events.Prefix+"*._.order.*.verification.*", calls)
	if err != nil {
		return fmt.Errorf("listen for verifications: %w", err)
	}
	go func() {
		defer func() { _ = listening.Unsubscribe() }()
		for {
			select {
			case m := <-calls:
				if err := d.call(m); err != nil {
					d.Notes.Linef("a code of verification is not in the inbox: %v", err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

// call puts one call into the inbox.
func (d *Dev) call(m *nats.Msg) error {
	b, ok := events.Decode(events.Message{Sequence: 1, Subject: m.Subject, Header: m.Header, Data: m.Data}).Body.(workflow.Verification)
	if !ok || b.Method != workflow.VerifyByCall {
		return nil
	}
	const from = "calls@countersign.invalid"
	to := b.PhoneNumber + "@phone.invalid"
	text := []string{
		"From: Calls <" + from + ">", "To: " + to, "Subject: Call to " + b.PhoneNumber + ": the code is " + b.Code, "",
		"countersign dev makes no calls. A telephony service would call " + b.PhoneNumber + " and say " + b.Code + ".",
		"The code is valid until " + b.Until.Format("15:04:05 MST") + ". Order " + string(b.OrderSID) + ".", "",
	}
	return smtp.SendMail(d.Catcher.Addr(), nil, from, []string{to}, []byte(strings.Join(text, "\r\n")))
}
