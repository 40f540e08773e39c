-- +goose Up
-- What mail servers reported of mails that they had taken.
CREATE TABLE bounces (
  mail_id    TEXT    NOT NULL,
  sequence   INTEGER NOT NULL, -- the entry that says so
  at_ms      INTEGER NOT NULL,
  action     TEXT    NOT NULL, -- failed, delayed and so on: RFC 3464, section 2.3.3
  status     TEXT    NOT NULL, -- RFC 3463
  diagnostic TEXT    NOT NULL, -- in the mail server's words
  PRIMARY KEY (mail_id, sequence)
) STRICT, WITHOUT ROWID;
