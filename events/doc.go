// Package events is Countersign's contract with its neighbours. A service that
// is written in Go and publishes events imports it.
//
// An event is a CloudEvent 1.0 on a subject that names whom it is about and what
// it says. An upstream service makes one with Created, Updated, StatusChanged,
// OrderStatusChanged, Resend or Bounced and hands it to Publish. Decode reads
// every message on the log and never fails: a message that it cannot read comes
// back as workflow.Invalid, with a reason that names the field. Both follow the
// same rules, which docs/schemas and docs/asyncapi.yaml state for services in
// other languages. Those files are generated from the types and limits here.
//
// The client that Countersign itself uses to follow the log and to append to it
// is internal/eventlog.
package events

//go:generate go -C ../tools run ./contract ../docs
