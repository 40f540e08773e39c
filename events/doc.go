// Package events is Countersign's contract with other services. Services that
// are written in Go import it to publish and read events.
//
// An event is a CloudEvent 1.0 on a subject that names the account, the
// document and the kind of event. An upstream service makes one with Created,
// Updated, StatusChanged, OrderStatusChanged, Resend or Bounced and hands it to
// Publish. Decode reads every message on the log and never fails: if it cannot
// read a message, it returns workflow.Invalid, with a reason that names the
// field. Publish and Decode follow the same rules, which docs/schemas and
// docs/asyncapi.yaml state for services in other languages. Those files are
// generated from the types and limits here.
//
// The client that Countersign itself uses to follow the log and to append to it
// is internal/eventlog.
package events

//go:generate go -C ../tools run ./contract ../docs
