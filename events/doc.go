// Package events is Countersign's contract with its neighbours, and the log
// that they and Countersign write to.
//
// The contract: an event is a CloudEvent 1.0 on a subject that names whom it
// is about and what it says. An upstream service makes one with Created,
// Updated, StatusChanged or OrderStatusChanged and hands it to Publish; Decode
// reads every message on the log, and never fails: what cannot be read comes
// back as workflow.Invalid, with a reason that names the field. Both go by the
// same rules, which docs/schemas and docs/asyncapi.yaml state for services in
// other languages; those files are generated from the types and limits here.
//
// The log: Open finds or makes the JetStream stream, and its methods follow it
// and append to it.
package events

//go:generate go -C ../tools run ./contract ../docs
