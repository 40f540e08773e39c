// Package workflow decides how an Authorization Document moves from the day it
// is opened to the day it is signed, and what is owed on the way.
//
// It has no clock, no database and no network. Decide takes a document as it
// stands and one entry of the log, and answers with the document as it stands
// from then on, with the mails and events that are owed because of it, and with
// a verdict on the entry. The rest of the program carries entries to Decide and
// carries its answers away; two replicas that fold the same log decide the same.
package workflow
