// Package eventlog is the client of the log: the JetStream stream that upstream
// services and Countersign write events to. Package events says what an event
// is; this package connects to NATS, finds or creates the stream, follows it,
// appends to it, and removes the entries that an erasure lists. It also has the
// other stores on the same servers: for signed letters, for snapshots of the
// database, and for reports that could not be read.
package eventlog
