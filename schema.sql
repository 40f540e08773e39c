-- Countersign's database: what the log says, and how far it was read. It can
-- always be made again from the log. Times are unix milliseconds, UTC, and are
-- the log's own unless a comment says otherwise. A CHECK compares with =, because
-- SQLite opens a table of its own, in every statement that writes the column, for
-- an IN list of three values or more.

-- How far the log is folded into this file, and what identifies that entry.
CREATE TABLE position (
  one            INTEGER PRIMARY KEY CHECK (one = 1),
  worker         TEXT    NOT NULL,           -- this file's name on the log, in claims
  sequence       INTEGER NOT NULL DEFAULT 0, -- of the last entry applied
  entry_ns       INTEGER NOT NULL DEFAULT 0, -- that entry's timestamp, unix nanoseconds
  source         TEXT    NOT NULL DEFAULT '',
  event_id       TEXT    NOT NULL DEFAULT '',
  stream_ns      INTEGER NOT NULL DEFAULT 0, -- when the stream was created, unix nanoseconds
  claim          INTEGER NOT NULL DEFAULT 0, -- sequence of the last claim on the log
  claim_worker   TEXT    NOT NULL DEFAULT '',
  rules          INTEGER NOT NULL DEFAULT 1, -- version of the rules in force
  parking_ms     INTEGER NOT NULL DEFAULT 86400000, -- how long a parked event may wait
  timers         TEXT    NOT NULL DEFAULT '', -- JSON: those of documents without their own; empty for none
  letter_requires TEXT   NOT NULL DEFAULT '', -- JSON array of what a letter must name before it is sent; empty for nothing
  notify_cc      TEXT    NOT NULL DEFAULT '', -- JSON array of statuses of which cc is told; empty for none
  hook_claim     INTEGER NOT NULL DEFAULT 0, -- sequence of the last claim of deliveries on the log
  hook_worker    TEXT    NOT NULL DEFAULT '',
  mail_limits    TEXT    NOT NULL DEFAULT ''  -- JSON: how often a document may ask its signer by email; empty for no limits
) STRICT;

-- Every event met so far, by its identity. One met twice changes nothing. What
-- could not be read has no source, and the digest of its bytes as its id.
CREATE TABLE inbox (
  account_sid TEXT    NOT NULL, -- from the subject; empty if it names none
  source      TEXT    NOT NULL,
  event_id    TEXT    NOT NULL,
  sequence    INTEGER NOT NULL, -- where it was met first; negative once the log has lost that entry
  entry_ns    INTEGER NOT NULL,
  result      TEXT    NOT NULL CHECK (result = 'applied' OR result = 'unchanged' OR result = 'parked' OR result = 'refused' OR result = 'dead_letter'),
  PRIMARY KEY (account_sid, source, event_id)
) STRICT, WITHOUT ROWID;

-- One row a document, as it stands.
CREATE TABLE documents (
  place                INTEGER PRIMARY KEY, -- grows in the order of their creation
  sid                  TEXT    NOT NULL UNIQUE,
  account_sid          TEXT    NOT NULL,
  status               TEXT    NOT NULL CHECK (status = 'opened' OR status = 'signing' OR status = 'signed' OR status = 'canceled' OR status = 'failed'),
  round                INTEGER NOT NULL,
  hold                 INTEGER NOT NULL CHECK (hold IN (0, 1)),
  address_sid          TEXT    NOT NULL,
  email                TEXT    NOT NULL,
  cc_emails            TEXT    NOT NULL, -- JSON array of addresses
  hosted_number_orders TEXT    NOT NULL, -- JSON array: sid, phone_number, status, failure_reason, current_carrier
  contact_title        TEXT    NOT NULL,
  contact_phone_number TEXT    NOT NULL,
  reason               TEXT    NOT NULL,
  canceled_by          TEXT    NOT NULL,
  evidence             TEXT    NOT NULL, -- JSON object, or empty
  letter_digest        TEXT    NOT NULL,
  letter_stale         INTEGER NOT NULL CHECK (letter_stale IN (0, 1)),
  created_ms           INTEGER NOT NULL,
  updated_ms           INTEGER NOT NULL,
  signed_ms            INTEGER NOT NULL, -- 0 while unsigned
  timers               TEXT    NOT NULL DEFAULT '', -- JSON: its own, in place of the settings'; empty for none
  expires_ms           INTEGER NOT NULL DEFAULT 0,  -- of the round that is out; 0 if it never does
  fresh_ms             INTEGER NOT NULL DEFAULT 0,  -- until when the signed letter is fresh; 0 for no end
  details              TEXT    NOT NULL DEFAULT '', -- JSON object of what few documents have: locale, subscriber, service_address, asked_by, ended_by, letter_kept, subscriber_from, service_address_from; empty if there is none
  waits_for            TEXT    NOT NULL DEFAULT '' -- JSON array of what its letter lacks and must name; empty unless it waits
) STRICT;

-- Which documents an address may let go.
CREATE INDEX documents_waiting ON documents (address_sid) WHERE waits_for <> '';

-- Lists: each filter has the index that gives its order.
CREATE INDEX documents_account ON documents (account_sid, place);
CREATE INDEX documents_status ON documents (account_sid, status, place);
CREATE INDEX documents_email ON documents (account_sid, email, place);
CREATE INDEX documents_email_status ON documents (account_sid, email, status, place);

-- What a list shows of a document, in one column: the driver takes time for each. No
-- value before the last one has a control character.
CREATE VIEW listed AS
SELECT place, account_sid, status, email,
  CAST(concat_ws(char(31), sid, status, address_sid, email, created_ms, updated_ms, cc_emails) AS TEXT) AS line
FROM documents;

-- Hosted Number Orders as their own events describe them, with their status on
-- the live document that lists them. The columns are what lists are filtered by;
-- data has all.
CREATE TABLE hosted_number_orders (
  place                     INTEGER PRIMARY KEY, -- grows in the order in which the log first named them
  sid                       TEXT    NOT NULL UNIQUE,
  account_sid               TEXT    NOT NULL,
  listed                    INTEGER NOT NULL CHECK (listed IN (0, 1)), -- it was created, and not deleted
  status                    TEXT    NOT NULL,
  phone_number              TEXT    NOT NULL,
  friendly_name             TEXT    NOT NULL,
  unique_name               TEXT    NOT NULL,
  incoming_phone_number_sid TEXT    NOT NULL,
  data                      TEXT    NOT NULL -- JSON
) STRICT;

CREATE INDEX hosted_number_orders_account ON hosted_number_orders (account_sid, place) WHERE listed = 1;
CREATE INDEX hosted_number_orders_status ON hosted_number_orders (account_sid, status, place) WHERE listed = 1;
CREATE INDEX hosted_number_orders_number ON hosted_number_orders (account_sid, phone_number, place) WHERE listed = 1;
CREATE INDEX hosted_number_orders_friendly ON hosted_number_orders (account_sid, friendly_name, place) WHERE listed = 1;
CREATE INDEX hosted_number_orders_unique ON hosted_number_orders (account_sid, unique_name, place) WHERE listed = 1;
CREATE INDEX hosted_number_orders_incoming ON hosted_number_orders (account_sid, incoming_phone_number_sid, place) WHERE listed = 1;

-- Addresses, in the same way.
CREATE TABLE addresses (
  place         INTEGER PRIMARY KEY,
  sid           TEXT    NOT NULL UNIQUE,
  account_sid   TEXT    NOT NULL,
  listed        INTEGER NOT NULL CHECK (listed IN (0, 1)), -- it was not deleted
  customer_name TEXT    NOT NULL,
  friendly_name TEXT    NOT NULL,
  iso_country   TEXT    NOT NULL,
  emergency     INTEGER NOT NULL CHECK (emergency IN (0, 1)),
  data          TEXT    NOT NULL -- JSON
) STRICT;

CREATE INDEX addresses_account ON addresses (account_sid, place) WHERE listed = 1;
CREATE INDEX addresses_customer ON addresses (account_sid, customer_name, place) WHERE listed = 1;
CREATE INDEX addresses_friendly ON addresses (account_sid, friendly_name, place) WHERE listed = 1;

-- Which live document has each Hosted Number Order, and each telephone number of
-- an order that is under way or completed: one at the most.
CREATE TABLE holders (
  key          TEXT PRIMARY KEY, -- the order's sid, or the number in E.164
  document_sid TEXT NOT NULL,
  account_sid  TEXT NOT NULL     -- of the document
) STRICT, WITHOUT ROWID;

-- The outbox's mail channel: one row a mail to one recipient, with its
-- outcome. The id begins with the document's sid: a document's mails stand side
-- by side.
CREATE TABLE mails (
  id         TEXT    PRIMARY KEY, -- document, round, kind and number
  kind       TEXT    NOT NULL CHECK (kind = 'signature' OR kind = 'reminder' OR kind = 'sent' OR kind = 'signed' OR kind = 'canceled' OR kind = 'failed'),
  recipient  TEXT    NOT NULL,
  domain     TEXT    NOT NULL, -- of the recipient, for the rate limit
  state      TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'pending' OR state = 'claimed' OR state = 'accepted' OR state = 'rejected' OR state = 'held' OR state = 'withdrawn'),
  cause_seq   INTEGER NOT NULL, -- the entry that owed it
  cause_index INTEGER NOT NULL, -- its place among the mails of that entry
  caused_ms    INTEGER NOT NULL,
  due_ms     INTEGER NOT NULL, -- when it may be claimed, while owed
  attempts   INTEGER NOT NULL,
  claim      INTEGER NOT NULL, -- sequence of the last claim, 0 before the first
  doubts     INTEGER NOT NULL, -- how often its outcome was lost
  trouble_ms INTEGER NOT NULL, -- when it was first deferred or left in doubt; 0 if never
  withdrawn  INTEGER NOT NULL CHECK (withdrawn IN (0, 1)), -- its link is dead
  code       INTEGER NOT NULL, -- of the last SMTP reply
  reply      TEXT    NOT NULL,
  done_ms INTEGER NOT NULL, -- 0 while pending
  about      TEXT    NOT NULL, -- JSON: the document as it stood in the mail's round; empty while it still stands so
  asked      TEXT    NOT NULL DEFAULT '' -- for limits: the account, and the mailbox that is asked to sign; empty for notices
) STRICT, WITHOUT ROWID;

CREATE INDEX mails_due ON mails (attempts > 0, due_ms, cause_seq, cause_index, domain, attempts, asked) WHERE state = 'pending';
CREATE INDEX mails_asked ON mails (asked, caused_ms) WHERE asked <> '';
CREATE INDEX mails_claim ON mails (claim) WHERE state = 'claimed';
CREATE INDEX mails_doubt ON mails (doubts) WHERE doubts > 0;

-- The outbox's event channel: what has to stand on the log, once ever.
CREATE TABLE outbox_events (
  place       INTEGER PRIMARY KEY,
  subject     TEXT    NOT NULL UNIQUE, -- where it belongs on the log
  type        TEXT    NOT NULL,
  body        TEXT    NOT NULL, -- JSON
  cause       INTEGER NOT NULL, -- the entry that owed it
  at_ms       INTEGER NOT NULL, -- that entry's time
  due_ms      INTEGER NOT NULL,
  answers     INTEGER NOT NULL, -- of a refusal and of a parking limit: the entry that it is about, which changed nothing; 0 for all others
  done_seq INTEGER NOT NULL  -- where it is on the log; 0 while owed, -1 if it is no longer needed
) STRICT;

CREATE INDEX outbox_events_due ON outbox_events (due_ms, place) WHERE done_seq = 0;

-- Whom accounts want to be told by HTTP. The secrets are not here: they follow from
-- the webhook key, the sid and the version.
CREATE TABLE webhooks (
  sid         TEXT    PRIMARY KEY, -- WH and 32 hex digits
  account_sid TEXT    NOT NULL,
  url         TEXT    NOT NULL,
  status      TEXT    NOT NULL CHECK (status = 'enabled' OR status = 'disabled'),
  reason      TEXT    NOT NULL, -- why it is disabled
  secrets     TEXT    NOT NULL, -- JSON array: versions of the secret that sign, the newest first
  sequence    INTEGER NOT NULL, -- of the entry that says so
  created_ms  INTEGER NOT NULL,
  updated_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The outbox's channel of deliveries: what receivers must be told by HTTP. One
-- that was delivered is removed.
CREATE TABLE deliveries (
  place        INTEGER PRIMARY KEY, -- grows in the order in which they became pending
  id           TEXT    NOT NULL UNIQUE, -- receiver, what it is about, and what it follows from
  account_sid  TEXT    NOT NULL,
  receiver     TEXT    NOT NULL, -- a webhook's sid; of a callback the account and the host
  about        TEXT    NOT NULL, -- sid of the document or the order: to one receiver, those about one are delivered in order
  document_sid TEXT    NOT NULL, -- with which it is erased; empty for none
  type         TEXT    NOT NULL,
  method       TEXT    NOT NULL,
  url          TEXT    NOT NULL, -- of a callback; empty if the webhook says it
  body         TEXT    NOT NULL,
  state        TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'pending' OR state = 'claimed' OR state = 'dead'),
  caused_ms    INTEGER NOT NULL,
  due_ms       INTEGER NOT NULL, -- when it may be claimed, if it is pending
  failures     INTEGER NOT NULL,
  claim        INTEGER NOT NULL, -- sequence of the last claim, 0 before the first
  code         INTEGER NOT NULL, -- HTTP status of the last reply, 0 for none
  reply        TEXT    NOT NULL
) STRICT;

CREATE INDEX deliveries_due ON deliveries (receiver, due_ms, place) WHERE state = 'pending';
CREATE INDEX deliveries_order ON deliveries (receiver, about, place) WHERE state <> 'dead';
CREATE INDEX deliveries_claim ON deliveries (claim) WHERE state = 'claimed';
CREATE INDEX deliveries_document ON deliveries (document_sid) WHERE document_sid <> '';

-- Events that wait for the one they build on.
CREATE TABLE parked (
  sequence     INTEGER PRIMARY KEY,
  document_sid TEXT    NOT NULL,
  account_sid  TEXT    NOT NULL,
  source       TEXT    NOT NULL,
  event_id     TEXT    NOT NULL,
  actor        TEXT    NOT NULL, -- sid of the account or API key, of the REST API's events
  subject      TEXT    NOT NULL,
  type         TEXT    NOT NULL,
  order_sid    TEXT    NOT NULL,
  body         TEXT    NOT NULL, -- JSON
  entry_ns     INTEGER NOT NULL,
  until_ms     INTEGER NOT NULL
) STRICT;

CREATE INDEX parked_document ON parked (document_sid, sequence);

-- Timers that run for documents. The event of each is among the owed events.
CREATE TABLE timers (
  document_sid TEXT    NOT NULL,
  timer        TEXT    NOT NULL CHECK (timer = 'reminder' OR timer = 'expiry' OR timer = 'freshness' OR timer = 'waiting'),
  number       INTEGER NOT NULL, -- of its event
  due_ms       INTEGER NOT NULL,
  every_ms     INTEGER NOT NULL, -- from this reminder to the next; 0 if none follows
  more         INTEGER NOT NULL, -- reminders that may follow
  early        INTEGER NOT NULL, -- how often its event stood on the log before its time
  PRIMARY KEY (document_sid, timer)
) STRICT, WITHOUT ROWID;

-- Events that were refused; dead letters too. Their
-- payload is on the log, at that sequence.
CREATE TABLE refusals (
  sequence     INTEGER PRIMARY KEY,
  dead         INTEGER NOT NULL CHECK (dead IN (0, 1)),
  subject      TEXT    NOT NULL,
  account_sid  TEXT    NOT NULL, -- from the subject; empty if it names none
  document_sid TEXT    NOT NULL, -- from the subject; empty if it names none
  source       TEXT    NOT NULL,
  event_id     TEXT    NOT NULL,
  code         TEXT    NOT NULL,
  message      TEXT    NOT NULL,
  field        TEXT    NOT NULL,
  at_ms        INTEGER NOT NULL,
  order_sid    TEXT    NOT NULL, -- of order_taken and number_taken: the event's order
  other_sid    TEXT    NOT NULL, -- of these: the document that has the order, or its number; empty if it is another account's
  holder_sid   TEXT    NOT NULL, -- that document, whoever has it
  until_ms     INTEGER NOT NULL  -- of too_many_emails: when the event may be sent again; 0 for all others
) STRICT;

CREATE INDEX refusals_document ON refusals (document_sid, sequence);
CREATE INDEX refusals_holder ON refusals (holder_sid, sequence) WHERE holder_sid <> '';

-- Events that were refused and are done with.
CREATE TABLE closed (
  sequence    INTEGER PRIMARY KEY, -- of the event that was refused
  by_sequence INTEGER NOT NULL,    -- the entry that was sent in its place, or that discards it
  reason      TEXT    NOT NULL,    -- why it was discarded; empty if it was sent again
  at_ms       INTEGER NOT NULL
) STRICT;

-- What happened to each document, in words.
CREATE TABLE history (
  document_sid TEXT    NOT NULL,
  sequence     INTEGER NOT NULL, -- the entry because of which it happened
  line         INTEGER NOT NULL,
  at_ms        INTEGER NOT NULL,
  what         TEXT    NOT NULL,
  detail       TEXT    NOT NULL,
  PRIMARY KEY (document_sid, sequence, line)
) STRICT, WITHOUT ROWID;

-- Documents that were erased, and stay so.
CREATE TABLE erased (
  document_sid TEXT    PRIMARY KEY,
  account_sid  TEXT    NOT NULL,
  status       TEXT    NOT NULL, -- where it stood
  sequence     INTEGER NOT NULL  -- of its last erased event; beyond the position if the log has a hole already
) STRICT, WITHOUT ROWID;

-- What erased documents had stood in the way of, for entries that are not
-- folded yet. Mostly empty.
CREATE TABLE blocked (
  sequence     INTEGER PRIMARY KEY, -- of the entry that was refused
  code         TEXT    NOT NULL,    -- order_taken or number_taken
  order_sid    TEXT    NOT NULL,    -- the entry's
  document_sid TEXT    NOT NULL,    -- the erased one
  account_sid  TEXT    NOT NULL     -- its account
) STRICT;

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

-- How many there are, kept by the fold so that nobody has to count.
CREATE TABLE tallies (
  what TEXT    NOT NULL, -- documents, mails, refusals, registers
  kind TEXT    NOT NULL, -- a document's status, a mail's kind, a refusal's code
  more TEXT    NOT NULL, -- a mail's state
  n    INTEGER NOT NULL,
  PRIMARY KEY (what, kind, more)
) STRICT, WITHOUT ROWID;
