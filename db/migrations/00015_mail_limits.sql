-- +goose Up
-- How often a document may ask its signer by email, and by whom and whom each
-- email asks, so that the emails to one person can be counted and held back.
ALTER TABLE position ADD COLUMN mail_limits TEXT NOT NULL DEFAULT '';
ALTER TABLE mails ADD COLUMN asked TEXT NOT NULL DEFAULT '';
DROP INDEX mails_due;
CREATE INDEX mails_due ON mails (attempts > 0, due_ms, owed_seq, owed_index, domain, attempts, asked) WHERE state = 'owed';
CREATE INDEX mails_asked ON mails (asked, owed_ms) WHERE asked <> '';
