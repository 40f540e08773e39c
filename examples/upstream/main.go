// Command upstream is a service that hosts phone numbers. It publishes one
// document to Countersign, follows the document's answers on the log, and ends
// when the document has ended. Start `countersign dev` and try:
//
//	go run ./examples/upstream -email you@example.com -number +14155550100
//
// Run again with the same -document, it publishes nothing new: the event has
// the same id. It reads the same answers from the log.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
	"countersign/workflow"
)

// source names this service. With an event's id it is the event's identity.
const source = "/examples/upstream"

// request is what the service wants: a letter for one number, signed by
// whoever reads the address.
type request struct {
	account, document, order workflow.SID
	email, number            string
}

// eventID follows from the document, so that the event is the same if this
// program is started again.
func (r request) eventID() string { return string(r.document) + ".created" }

func main() {
	var r request
	url := flag.String("nats", "nats://127.0.0.1:4222", "NATS server, with a token if it needs one: nats://TOKEN@host:4222")
	account := flag.String("account", "AC26afce54bcde795fe40605a037dbf3a6", "sid of the account")
	document := flag.String("document", "PX0000000000000000000000000000beef", "sid of the document; choose it at random")
	order := flag.String("order", "HR00000000000000000000000000000001", "sid of the Hosted Number Order")
	flag.StringVar(&r.email, "email", "owner@example.com", "who is asked to sign")
	flag.StringVar(&r.number, "number", "+14155550100", "phone number of the order, E.164")
	flag.Parse()
	r.account, r.document, r.order = workflow.SID(*account), workflow.SID(*document), workflow.SID(*order)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url, r, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(1)
	}
}

// run publishes the request and follows the document until it has ended. It
// fails if the request is refused, with the code and the sentence of the
// refusal, and if ctx ends.
func run(ctx context.Context, url string, r request, out io.Writer) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", url, err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	created := events.Created(source, r.eventID(), r.account, r.document, workflow.Created{
		AddressSID:         "AD225237eb19e923195969f43325873e1f",
		Email:              r.email,
		HostedNumberOrders: []workflow.OrderRef{{SID: r.order, PhoneNumber: r.number}},
	})
	if _, err := events.Publish(ctx, js, created); err != nil {
		return err // it may be on the log or not: publish it again
	}
	fmt.Fprintf(out, "published %s\n", r.document)
	return follow(ctx, js, r, out)
}

// follow reads the document's answers from the beginning of the log. A service
// that serves many documents uses one durable consumer instead, which an
// operator creates for it: docs/nats.md.
func follow(ctx context.Context, js jetstream.JetStream, r request, out io.Writer) error {
	subject := events.Prefix + string(r.account) + "." + string(r.document)
	consumer, err := js.OrderedConsumer(ctx, events.StreamName, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject + ".became.>", subject + ".refused.*", subject + ".order.*.register"},
	})
	if err != nil {
		return fmt.Errorf("read the answers about %s: %w", r.document, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	status, registers := workflow.Unseen, 1
	for !status.Ended() || status == workflow.Signed && registers > 0 {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read the next answer about %s: %w", r.document, err)
		}
		received, err := events.FromMsg(m)
		if err != nil {
			return err
		}
		switch b := events.Decode(received).Body.(type) {
		case workflow.Became:
			status = b.Status
			fmt.Fprintf(out, "%s, round %d\n", b.Status, b.Round)
		case workflow.Register:
			registers--
			fmt.Fprintf(out, "register %s\n", b.PhoneNumber)
		case workflow.Refused:
			if b.Source == source && b.EventID == r.eventID() {
				return errors.New("refused, " + string(b.Code) + ": " + b.Message)
			}
		}
	}
	return nil
}
