// Package eventlog is the client of the log: the JetStream stream that upstream
// services and Countersign write events to. Package events says what an event
// is; this package connects to NATS, makes or finds the stream, follows it,
// appends to it, and removes from it what an erasure lists. It also keeps what
// lies beside the log on the same servers: signed letters, snapshots of the
// database, and reports that could not be read.
package eventlog
