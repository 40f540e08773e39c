package events_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"countersign/events"
	"countersign/internal/test/devserver"
	"countersign/workflow"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	account  = "AC26afce54bcde795fe40605a037dbf3a6"
	document = "PX0000000000000000000000000000beef"
)

// letter is the content of a document.
var letter = workflow.Created{
	AddressSID:         "AD225237eb19e923195969f43325873e1f",
	Email:              "owner@example.com",
	HostedNumberOrders: []workflow.OrderRef{{SID: "HR00000000000000000000000000000001", PhoneNumber: "+14155550100"}},
}

// Publish a document. The id belongs to the event: publish it again under the
// same id if no answer comes, and there is still one document.
func ExamplePublish() {
	nc, err := nats.Connect(countersignDev().URL)
	if err != nil {
		panic(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		panic(err)
	}
	sequence, err := events.Publish(context.Background(), js,
		events.Created("/loa-desk", "order-4711-created", account, document, letter))
	if err != nil {
		panic(err) // names the field, if the event is invalid
	}
	fmt.Println("stored:", sequence > 0)

	// Output:
	// stored: true
}

// Wait until the letter is with the signer, that is until the mail server has
// accepted the email.
func ExampleDecode_waitForStatus() {
	nc, err := nats.Connect(countersignDev().URL)
	if err != nil {
		panic(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if _, err := events.Publish(ctx, js, events.Created("/loa-desk", "order-4711-created", account, document, letter)); err != nil {
		panic(err)
	}

	consumer, err := js.OrderedConsumer(ctx, events.StreamName, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{events.Prefix + account + "." + document + ".became.>"},
	})
	if err != nil {
		panic(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		panic(err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next()
		if err != nil {
			panic(err)
		}
		received, err := events.FromMsg(m)
		if err != nil {
			panic(err)
		}
		entry := events.Decode(received)
		if b, ok := entry.Body.(workflow.Became); ok && b.Status == workflow.Signing {
			fmt.Println(b.Status, "by", b.Email)
			return
		}
	}

	// Output:
	// signing by owner@example.com
}

// Read why an event was refused. Its sequence is part of the refusal's subject.
func ExampleDecode_readRefusal() {
	nc, err := nats.Connect(countersignDev().URL)
	if err != nil {
		panic(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	// Another document wants the order of the first.
	const second = "PX0000000000000000000000000000cafe"
	if _, err := events.Publish(ctx, js, events.Created("/loa-desk", "order-4711-created", account, document, letter)); err != nil {
		panic(err)
	}
	sequence, err := events.Publish(ctx, js, events.Created("/loa-desk", "order-4712-created", account, second, letter))
	if err != nil {
		panic(err)
	}

	consumer, err := js.OrderedConsumer(ctx, events.StreamName, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{fmt.Sprintf("%s%s.%s.refused.%d", events.Prefix, account, second, sequence)},
	})
	if err != nil {
		panic(err)
	}
	m, err := consumer.Next()
	if err != nil {
		panic(err)
	}
	received, err := events.FromMsg(m)
	if err != nil {
		panic(err)
	}
	entry := events.Decode(received)
	if b, ok := entry.Body.(workflow.Refused); ok {
		fmt.Println(b.Code, b.Order, b.Document) // for programs
		fmt.Println(b.Message != "")             // for people
	}

	// Output:
	// order_taken HR00000000000000000000000000000001 PX0000000000000000000000000000beef
	// true
}

// countersignDev is a `countersign dev` for all examples; the first starts it.
var countersignDev = sync.OnceValue(func() *devserver.Server {
	server, err := devserver.Start(context.Background())
	if err != nil {
		panic(err)
	}
	stopDev = server.Stop
	return server
})

// stopDev ends the server of the examples, if one was started.
var stopDev = func() error { return nil }

func TestMain(m *testing.M) {
	code := m.Run()
	if err := stopDev(); err != nil {
		fmt.Fprintln(os.Stderr, "end countersign dev:", err)
		code = 1
	}
	os.Exit(code)
}
