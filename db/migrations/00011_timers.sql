-- +goose Up
-- What the log says of timers and notices, and each document's own.
ALTER TABLE position ADD COLUMN timers TEXT NOT NULL DEFAULT '';
ALTER TABLE position ADD COLUMN notify_cc TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN timers TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN expires_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN fresh_ms INTEGER NOT NULL DEFAULT 0;

-- Timers that run for documents. The event of each is among the owed events.
CREATE TABLE timers (
  document_sid TEXT    NOT NULL,
  timer        TEXT    NOT NULL CHECK (timer IN ('reminder','expiry','freshness')),
  number       INTEGER NOT NULL, -- of its event
  due_ms       INTEGER NOT NULL,
  every_ms     INTEGER NOT NULL, -- from this reminder to the next; 0 where none follows
  more         INTEGER NOT NULL, -- reminders that may follow
  early        INTEGER NOT NULL, -- how often its event stood on the log before its time
  PRIMARY KEY (document_sid, timer)
) STRICT, WITHOUT ROWID;

-- Two more kinds of mail: SQLite cannot change a CHECK.
ALTER TABLE mails RENAME TO mails_before;
CREATE TABLE mails (
  id         TEXT    PRIMARY KEY, -- document, round, kind and number
  kind       TEXT    NOT NULL CHECK (kind IN ('signature','reminder','sent','signed','canceled','failed')),
  recipient  TEXT    NOT NULL,
  domain     TEXT    NOT NULL, -- of the recipient, for the rate limit
  state      TEXT    NOT NULL CHECK (state IN ('waiting','owed','claimed','accepted','rejected','held','withdrawn')),
  owed_seq   INTEGER NOT NULL, -- the entry that owed it
  owed_index INTEGER NOT NULL, -- its place among the mails of that entry
  owed_ms    INTEGER NOT NULL,
  due_ms     INTEGER NOT NULL, -- when it may be claimed, while owed
  attempts   INTEGER NOT NULL,
  claim      INTEGER NOT NULL, -- sequence of the last claim, 0 before the first
  doubts     INTEGER NOT NULL, -- how often its outcome was lost
  withdrawn  INTEGER NOT NULL CHECK (withdrawn IN (0, 1)), -- its link is dead
  code       INTEGER NOT NULL, -- of the last SMTP reply
  reply      TEXT    NOT NULL,
  settled_ms INTEGER NOT NULL, -- 0 while unsettled
  about      TEXT    NOT NULL  -- JSON: the document as it stood in the mail's round; empty while it still stands so
) STRICT, WITHOUT ROWID;
INSERT INTO mails SELECT * FROM mails_before;
DROP TABLE mails_before;
CREATE INDEX mails_due ON mails (due_ms, owed_seq, owed_index) WHERE state = 'owed';
CREATE INDEX mails_claim ON mails (claim) WHERE state = 'claimed';
CREATE INDEX mails_doubt ON mails (doubts) WHERE doubts > 0;
