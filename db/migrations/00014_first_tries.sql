-- +goose Up
-- Mails that were never tried, and beside them those that are tried again: each
-- has its own line, so that neither holds the other up.
DROP INDEX mails_due;
CREATE INDEX mails_due ON mails (attempts > 0, due_ms, owed_seq, owed_index) WHERE state = 'owed';
