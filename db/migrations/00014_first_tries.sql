-- +goose Up
-- Mails that were never tried, and beside them those that are tried again: each
-- has its own line, so that neither holds the other up. All that is asked of a mail
-- that is due is in the index: one to a domain at its rate limit is passed over there.
DROP INDEX mails_due;
CREATE INDEX mails_due ON mails (attempts > 0, due_ms, owed_seq, owed_index, domain, attempts) WHERE state = 'owed';
