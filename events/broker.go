package events

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// Broker is NATS as the log sees it: a connection, or a model of one.
type Broker struct {
	Conn Conn
	JS   jetstream.JetStream

	// Batch publishes messages all or none, as jetstreamext.PublishMsgBatch does.
	Batch func(ctx context.Context, msgs []*nats.Msg) (*jetstreamext.BatchAck, error)

	// LastError is the connection's last trouble, nil for none: that the server
	// refuses it, or forbids something. It is nil in a model.
	LastError func() error

	// NewID makes a Nats-Msg-Id for a message that nobody can predict; nil for a
	// random one.
	NewID func(m *nats.Msg) string
}

// Conn says how the connection fares. *nats.Conn is one.
type Conn interface {
	Stats() nats.Statistics
	StatusChanged(statuses ...nats.Status) chan nats.Status
	RemoveStatusListener(listener chan nats.Status)
}

// connected is the broker behind a connection.
func connected(nc *nats.Conn) (Broker, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(answerWait))
	return Broker{Conn: nc, JS: js, LastError: nc.LastError, Batch: func(ctx context.Context, msgs []*nats.Msg) (*jetstreamext.BatchAck, error) {
		return jetstreamext.PublishMsgBatch(ctx, js, msgs)
	}}, err
}
