// Package mail writes Countersign's mails and hands them to one mail server.
//
// A Pool keeps connections open, sends each mail over one of them and says what
// became of it in the words of package workflow: accepted, rejected, deferred
// or unknown. It decides nothing else. When a mail is tried again, and whether
// one in doubt is, is its caller's business.
package mail
