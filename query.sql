-- Lists of keys to read come as JSON: one statement a batch. Rows are written one
-- by one: SQLite reads a row out of JSON more slowly than it binds it. ASCII only,
-- one placeholder style: sqlc binds wrongly otherwise, without an error.

-- name: GetPosition :one
SELECT * FROM position;

-- name: NewPosition :exec
INSERT INTO position (one, worker) VALUES (1, @worker) ON CONFLICT DO NOTHING;

-- name: PutPosition :exec
UPDATE position SET sequence = @sequence, entry_ns = @entry_ns, source = @source, event_id = @event_id,
  stream_ns = @stream_ns, claim = @claim, claim_worker = @claim_worker, rules = @rules, parking_ms = @parking_ms,
  timers = @timers, letter_requires = @letter_requires, notify_cc = @notify_cc, mail_limits = @mail_limits, hook_claim = @hook_claim, hook_worker = @hook_worker;

-- name: KnownEvents :many
SELECT i.account_sid, i.source, i.event_id, i.sequence FROM json_each(CAST(@keys AS TEXT)) AS k
CROSS JOIN inbox AS i WHERE i.account_sid = k.value ->> 0 AND i.source = k.value ->> 1 AND i.event_id = k.value ->> 2;

-- name: AddToInbox :exec
INSERT INTO inbox (account_sid, source, event_id, sequence, entry_ns, result)
VALUES (@account_sid, @source, @event_id, @sequence, @entry_ns, @result);

-- name: SetInboxResult :exec
UPDATE inbox SET result = @result WHERE account_sid = @account_sid AND source = @source AND event_id = @event_id;

-- name: MetAgain :exec
UPDATE inbox SET sequence = @sequence, entry_ns = @entry_ns
WHERE account_sid = @account_sid AND source = @source AND event_id = @event_id AND sequence < 0;

-- name: AppliedBefore :many
SELECT source, event_id, sequence, entry_ns FROM inbox
WHERE sequence > 0 AND sequence < @below ORDER BY sequence DESC LIMIT @most;

-- name: LoseIdleInboxAfter :exec
DELETE FROM inbox WHERE sequence > @sequence AND (result = 'parked' OR result = 'refused' OR result = 'dead_letter');

-- name: LoseInboxAfter :execrows
UPDATE inbox SET sequence = -sequence WHERE sequence > @sequence;

-- name: LoseOutboxEventsAfter :execrows
UPDATE outbox_events SET done_seq = 0 WHERE done_seq > @sequence;

-- name: TakeRefusalsAfter :exec
INSERT INTO tallies (what, kind, more, n)
SELECT 'refusals', code, '', -count(*) FROM refusals WHERE sequence > @sequence GROUP BY code
ON CONFLICT (what, kind, more) DO UPDATE SET n = n + excluded.n;

-- name: LoseRefusalsAfter :exec
DELETE FROM refusals WHERE sequence > @sequence;

-- name: LoseClosedAfter :exec
DELETE FROM closed WHERE sequence > @sequence;

-- name: LoseParkedAfter :exec
DELETE FROM parked WHERE sequence > @sequence;

-- name: LoseAnswersAfter :exec
DELETE FROM outbox_events WHERE answers > @sequence;

-- name: GetDocument :one
SELECT * FROM documents WHERE sid = @sid;

-- name: LoadDocuments :many
SELECT d.* FROM json_each(CAST(@sids AS TEXT)) AS s CROSS JOIN documents AS d WHERE d.sid = s.value;

-- name: LoadPendingMails :many
SELECT m.id, m.kind, m.recipient, m.state, m.cause_seq, m.cause_index, m.caused_ms, m.due_ms, m.attempts, m.claim,
  m.doubts, m.trouble_ms, m.withdrawn, m.code, m.reply
FROM json_each(CAST(@sids AS TEXT)) AS s CROSS JOIN mails AS m
WHERE m.id > CAST(s.value AS TEXT) || '.' AND m.id < CAST(s.value AS TEXT) || '/' AND m.done_ms = 0
ORDER BY m.cause_seq, m.cause_index;

-- name: LoadAsked :many
SELECT m.id, m.caused_ms FROM json_each(CAST(@sids AS TEXT)) AS s CROSS JOIN mails AS m
WHERE m.id > CAST(s.value AS TEXT) || '.' AND m.id < CAST(s.value AS TEXT) || '/' AND m.done_ms <> 0
  AND m.attempts > 0 AND m.kind IN ('signature', 'reminder')
ORDER BY m.caused_ms;

-- name: LoadParked :many
SELECT p.* FROM json_each(CAST(@sids AS TEXT)) AS s CROSS JOIN parked AS p WHERE p.document_sid = s.value
ORDER BY p.document_sid, p.sequence;

-- name: LoadTimers :many
SELECT t.* FROM json_each(CAST(@sids AS TEXT)) AS s CROSS JOIN timers AS t WHERE t.document_sid = s.value
ORDER BY t.document_sid, t.due_ms, t.timer;

-- name: DeleteTimers :exec
DELETE FROM timers WHERE document_sid = @document_sid;

-- name: AddTimer :exec
INSERT INTO timers (document_sid, timer, number, due_ms, every_ms, more, early)
VALUES (@document_sid, @timer, @number, @due_ms, @every_ms, @more, @early);

-- name: Holders :many
SELECT h.* FROM json_each(CAST(@keys AS TEXT)) AS k CROSS JOIN holders AS h WHERE h.key = k.value;

-- name: WaitingFor :many
SELECT d.sid FROM json_each(CAST(@addresses AS TEXT)) AS a CROSS JOIN documents AS d WHERE d.address_sid = a.value AND d.waits_for <> '';

-- name: OrdersKnown :one
SELECT CAST(EXISTS (SELECT 1 FROM hosted_number_orders) OR EXISTS (SELECT 1 FROM addresses) AS INTEGER) AS known;

-- name: LoadOrders :many
SELECT o.data FROM json_each(CAST(@sids AS TEXT)) AS s CROSS JOIN hosted_number_orders AS o WHERE o.sid = s.value;

-- name: GetOrder :one
SELECT data FROM hosted_number_orders WHERE sid = @sid AND account_sid = @account_sid AND listed = 1;

-- name: PlaceOfOrder :one
SELECT place FROM hosted_number_orders WHERE sid = @sid AND account_sid = @account_sid;

-- name: PutOrder :exec
INSERT INTO hosted_number_orders (sid, account_sid, listed, status, phone_number, friendly_name, unique_name, incoming_phone_number_sid, data)
VALUES (@sid, @account_sid, @listed, @status, @phone_number, @friendly_name, @unique_name, @incoming_phone_number_sid, @data)
ON CONFLICT (sid) DO UPDATE SET listed = excluded.listed, status = excluded.status, phone_number = excluded.phone_number,
  friendly_name = excluded.friendly_name, unique_name = excluded.unique_name,
  incoming_phone_number_sid = excluded.incoming_phone_number_sid, data = excluded.data;

-- name: LoadAddresses :many
SELECT a.data FROM json_each(CAST(@sids AS TEXT)) AS s CROSS JOIN addresses AS a WHERE a.sid = s.value;

-- name: GetAddress :one
SELECT data FROM addresses WHERE sid = @sid AND account_sid = @account_sid AND listed = 1;

-- name: PlaceOfAddress :one
SELECT place FROM addresses WHERE sid = @sid AND account_sid = @account_sid;

-- name: PutAddress :exec
INSERT INTO addresses (sid, account_sid, listed, customer_name, friendly_name, iso_country, emergency, data)
VALUES (@sid, @account_sid, @listed, @customer_name, @friendly_name, @iso_country, @emergency, @data)
ON CONFLICT (sid) DO UPDATE SET listed = excluded.listed, customer_name = excluded.customer_name,
  friendly_name = excluded.friendly_name, iso_country = excluded.iso_country, emergency = excluded.emergency, data = excluded.data;

-- name: AddDocument :exec
INSERT INTO documents (sid, account_sid, status, round, hold, address_sid, email, cc_emails, hosted_number_orders, contact_title,
  contact_phone_number, reason, canceled_by, evidence, letter_digest, letter_stale, created_ms, updated_ms,
  signed_ms, timers, expires_ms, fresh_ms, details, waits_for)
VALUES (@sid, @account_sid, @status, @round, @hold, @address_sid, @email, @cc_emails, @hosted_number_orders,
  @contact_title, @contact_phone_number, @reason, @canceled_by, @evidence, @letter_digest, @letter_stale,
  @created_ms, @updated_ms, @signed_ms, @timers, @expires_ms, @fresh_ms, @details, @waits_for);

-- name: UpdateDocument :exec
-- The columns that no index has: each index of a column that is set is written
-- again, though its value be the same.
UPDATE documents SET round = @round, hold = @hold, address_sid = @address_sid, cc_emails = @cc_emails,
  hosted_number_orders = @hosted_number_orders, contact_title = @contact_title,
  contact_phone_number = @contact_phone_number, reason = @reason, canceled_by = @canceled_by, evidence = @evidence,
  letter_digest = @letter_digest, letter_stale = @letter_stale, updated_ms = @updated_ms, signed_ms = @signed_ms,
  timers = @timers, expires_ms = @expires_ms, fresh_ms = @fresh_ms, details = @details, waits_for = @waits_for WHERE sid = @sid;

-- name: SetDocumentStatus :exec
UPDATE documents SET status = @status WHERE sid = @sid;

-- name: SetDocumentEmail :exec
UPDATE documents SET email = @email WHERE sid = @sid;

-- name: DeleteHolder :exec
DELETE FROM holders WHERE key = @key;

-- name: PutHolder :exec
INSERT INTO holders (key, document_sid, account_sid) VALUES (@key, @document_sid, @account_sid)
ON CONFLICT (key) DO UPDATE SET document_sid = excluded.document_sid, account_sid = excluded.account_sid;

-- name: PutMail :exec
INSERT INTO mails (id, kind, recipient, domain, state, cause_seq, cause_index, caused_ms, due_ms, attempts, claim, doubts, trouble_ms,
  withdrawn, code, reply, done_ms, about, asked)
VALUES (@id, @kind, @recipient, @domain, @state, @cause_seq, @cause_index, @caused_ms, @due_ms, @attempts, @claim,
  @doubts, @trouble_ms, @withdrawn, @code, @reply, @done_ms, @about, @asked)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, due_ms = excluded.due_ms, attempts = excluded.attempts,
  claim = excluded.claim, doubts = excluded.doubts, trouble_ms = excluded.trouble_ms, withdrawn = excluded.withdrawn, code = excluded.code,
  reply = excluded.reply, done_ms = excluded.done_ms, about = max(about, excluded.about);

-- name: MoveMail :exec
-- What a claim and an outcome change of a mail as a rule.
UPDATE mails SET state = @state, due_ms = @due_ms, attempts = @attempts, claim = @claim, code = @code, reply = @reply, done_ms = @done_ms
WHERE id = @id;

-- name: AddOutboxEvent :exec
INSERT INTO outbox_events (subject, type, body, cause, at_ms, due_ms, answers, done_seq)
VALUES (@subject, @type, @body, @cause, @at_ms, @due_ms, @answers, @done_seq)
ON CONFLICT DO NOTHING;

-- name: FinishOutboxEvent :exec
UPDATE outbox_events SET done_seq = @sequence WHERE subject = @subject AND done_seq = 0;

-- name: AddParked :exec
INSERT INTO parked (sequence, document_sid, account_sid, source, event_id, actor, subject, type, order_sid, body, entry_ns, until_ms)
VALUES (@sequence, @document_sid, @account_sid, @source, @event_id, @actor, @subject, @type, @order_sid, @body, @entry_ns, @until_ms)
ON CONFLICT DO NOTHING;

-- name: DeleteParked :exec
DELETE FROM parked WHERE sequence = @sequence;

-- name: AddRefusal :exec
INSERT INTO refusals (sequence, dead, subject, account_sid, document_sid, source, event_id, code, message, field, at_ms, order_sid, other_sid, holder_sid, until_ms)
VALUES (@sequence, @dead, @subject, @account_sid, @document_sid, @source, @event_id, @code, @message, @field, @at_ms, @order_sid, @other_sid, @holder_sid, @until_ms)
ON CONFLICT DO NOTHING;

-- name: AddToHistory :exec
INSERT INTO history (document_sid, sequence, line, at_ms, what, detail)
VALUES (@document_sid, @sequence, @line, @at_ms, @what, @detail) ON CONFLICT DO NOTHING;

-- name: DueMails :many
-- Those that were never tried. An empty list is compared first: NOT IN would open an
-- ephemeral table for it. Nor may (attempts > 0) be compared with a parameter: the
-- index begins with it, so SQLite would prepare the statement for each value again.
SELECT id, domain, asked, due_ms FROM mails
WHERE state = 'pending' AND (attempts > 0) = 0 AND due_ms <= @now_ms
  AND (CAST(@but_domains AS TEXT) = '[]' OR domain NOT IN (SELECT value FROM json_each(CAST(@but_domains AS TEXT))))
  AND (CAST(@but_asked AS TEXT) = '[]' OR asked NOT IN (SELECT value FROM json_each(CAST(@but_asked AS TEXT))))
ORDER BY due_ms, cause_seq, cause_index LIMIT @most;

-- name: DueMailsAgain :many
SELECT id, domain, '' AS asked, due_ms FROM mails
WHERE state = 'pending' AND (attempts > 0) = 1 AND due_ms <= @now_ms
  AND (CAST(@but_domains AS TEXT) = '[]' OR domain NOT IN (SELECT value FROM json_each(CAST(@but_domains AS TEXT))))
ORDER BY due_ms, cause_seq, cause_index LIMIT @most;

-- name: AskedBefore :one
SELECT caused_ms FROM mails
WHERE asked = @asked AND asked <> '' AND caused_ms > @since_ms AND (attempts > 0 OR state <> 'withdrawn')
ORDER BY caused_ms DESC LIMIT 1 OFFSET @skip;

-- name: NextDueMail :one
SELECT CAST(COALESCE(MIN(due_ms), 0) AS INTEGER) AS due_ms FROM (
  SELECT MIN(due_ms) AS due_ms FROM mails WHERE state = 'pending' AND (attempts > 0) = 0
  UNION ALL SELECT MIN(due_ms) FROM mails WHERE state = 'pending' AND (attempts > 0) = 1);

-- name: ClaimedMails :many
-- In no order: sorting here costs more than the rest.
SELECT * FROM mails WHERE state = 'claimed' AND claim = @claim;

-- name: OpenClaims :many
SELECT DISTINCT claim FROM mails WHERE state = 'claimed' ORDER BY claim;

-- name: DueEvents :many
-- The plus keeps SQLite from walking along place, past all that was ever owed.
SELECT * FROM outbox_events
WHERE done_seq = 0 AND due_ms <= @now_ms AND +place > @after
  AND (due_ms <= @stamp_ms OR type <> 'authorization_document.timer_due')
ORDER BY +place LIMIT @most;

-- name: NextDueEvent :one
SELECT CAST(COALESCE(MIN(due_ms), 0) AS INTEGER) AS due_ms FROM outbox_events WHERE done_seq = 0 AND due_ms > @after_ms;

-- name: DocumentMails :many
SELECT * FROM mails WHERE id > CAST(@sid AS TEXT) || '.' AND id < CAST(@sid AS TEXT) || '/' ORDER BY cause_seq, cause_index;

-- name: DocumentParked :many
SELECT * FROM parked WHERE document_sid = @document_sid ORDER BY sequence;

-- name: DocumentRefusals :many
SELECT * FROM refusals WHERE document_sid = @document_sid ORDER BY sequence;

-- name: DocumentHistory :many
SELECT * FROM history WHERE document_sid = @document_sid ORDER BY sequence, line;

-- name: DocumentOutboxEvents :many
SELECT * FROM outbox_events
WHERE subject > CAST(@prefix AS TEXT) || '.' AND subject < CAST(@prefix AS TEXT) || '/' ORDER BY place;

-- name: MailsInDoubt :many
SELECT * FROM mails WHERE doubts > 0 ORDER BY cause_seq, cause_index;

-- name: AddTally :exec
INSERT INTO tallies (what, kind, more, n) VALUES (@what, @kind, @more, @n)
ON CONFLICT (what, kind, more) DO UPDATE SET n = n + excluded.n;

-- name: Tallies :many
SELECT * FROM tallies;

-- name: Backlog :one
SELECT
  CAST((SELECT COALESCE(min(caused_ms), 0) FROM mails WHERE state = 'pending') AS INTEGER) AS oldest_pending_ms,
  CAST((SELECT COALESCE(min(caused_ms), 0) FROM mails WHERE state = 'claimed') AS INTEGER) AS oldest_claimed_ms,
  CAST((SELECT count(*) FROM mails WHERE doubts > 0) AS INTEGER) AS doubts,
  CAST((SELECT count(*) FROM outbox_events WHERE done_seq = 0 AND due_ms <= CAST(@now_ms AS INTEGER)) AS INTEGER) AS events,
  CAST((SELECT COALESCE(min(due_ms), 0) FROM outbox_events WHERE done_seq = 0 AND due_ms <= CAST(@now_ms AS INTEGER)) AS INTEGER) AS oldest_event_ms,
  CAST((SELECT count(*) FROM parked) AS INTEGER) AS parked;

-- name: ListDocuments :many
SELECT * FROM documents
WHERE (CAST(@account_sid AS TEXT) = '' OR account_sid = CAST(@account_sid AS TEXT))
  AND (CAST(@status AS TEXT) = '' OR status = CAST(@status AS TEXT))
  AND (CAST(@email AS TEXT) = '' OR email = CAST(@email AS TEXT))
  AND (CAST(@in_doubt AS INTEGER) = 0
    OR sid IN (SELECT CAST(substr(id, 1, 34) AS TEXT) FROM mails WHERE doubts > 0))
ORDER BY place DESC LIMIT @most;

-- name: PlaceOf :one
SELECT place FROM documents WHERE sid = @sid AND account_sid = @account_sid;

-- name: OlderDocuments :many
SELECT line FROM listed WHERE account_sid = @account_sid AND place < @place ORDER BY place DESC LIMIT @most;

-- name: NewerDocuments :many
SELECT line FROM listed WHERE account_sid = @account_sid AND place > @place ORDER BY place ASC LIMIT @most;

-- name: OlderOfStatus :many
SELECT line FROM listed WHERE account_sid = @account_sid AND status = @status AND place < @place ORDER BY place DESC LIMIT @most;

-- name: NewerOfStatus :many
SELECT line FROM listed WHERE account_sid = @account_sid AND status = @status AND place > @place ORDER BY place ASC LIMIT @most;

-- name: OlderOfEmail :many
SELECT line FROM listed WHERE account_sid = @account_sid AND email = @email AND place < @place ORDER BY place DESC LIMIT @most;

-- name: NewerOfEmail :many
SELECT line FROM listed WHERE account_sid = @account_sid AND email = @email AND place > @place ORDER BY place ASC LIMIT @most;

-- name: OlderOfEmailAndStatus :many
SELECT line FROM listed WHERE account_sid = @account_sid AND email = @email AND status = @status AND place < @place ORDER BY place DESC LIMIT @most;

-- name: NewerOfEmailAndStatus :many
SELECT line FROM listed WHERE account_sid = @account_sid AND email = @email AND status = @status AND place > @place ORDER BY place ASC LIMIT @most;

-- name: RefusalAt :one
SELECT * FROM refusals WHERE sequence = @sequence;

-- name: NameWorker :exec
UPDATE position SET worker = @worker WHERE worker = '';

-- name: SIDsBetween :many
SELECT d.sid FROM documents AS d WHERE d.sid >= CAST(@low AS TEXT) AND d.sid < CAST(@high AS TEXT)
UNION SELECT e.document_sid FROM erased AS e WHERE e.document_sid >= CAST(@low AS TEXT) AND e.document_sid < CAST(@high AS TEXT)
ORDER BY 1 LIMIT 3;

-- name: LoadErased :many
SELECT e.document_sid, e.sequence FROM json_each(CAST(@sids AS TEXT)) AS s CROSS JOIN erased AS e WHERE e.document_sid = s.value;

-- name: GetErased :one
SELECT CAST(COALESCE(MAX(sequence), 0) AS INTEGER) AS sequence FROM erased WHERE document_sid = @document_sid;

-- name: TracesOf :one
SELECT CAST(EXISTS (SELECT 1 FROM documents AS d WHERE d.sid = CAST(@sid AS TEXT))
  OR EXISTS (SELECT 1 FROM history AS j WHERE j.document_sid = CAST(@sid AS TEXT) AND j.sequence < CAST(@below AS INTEGER))
  OR EXISTS (SELECT 1 FROM refusals AS t WHERE t.document_sid = CAST(@sid AS TEXT) AND t.sequence < CAST(@below AS INTEGER))
  AS INTEGER) AS traces;

-- name: PutErased :exec
INSERT INTO erased (document_sid, account_sid, status, sequence) VALUES (@document_sid, @account_sid, @status, @sequence)
ON CONFLICT (document_sid) DO UPDATE SET status = excluded.status, sequence = max(sequence, excluded.sequence);

-- name: AllBlocked :many
SELECT * FROM blocked;

-- name: AddBlocked :exec
INSERT INTO blocked (sequence, code, order_sid, document_sid, account_sid)
VALUES (@sequence, @code, @order_sid, @document_sid, @account_sid) ON CONFLICT DO NOTHING;

-- name: DeleteBlocked :exec
DELETE FROM blocked WHERE document_sid = @document_sid AND sequence < @below;

-- name: RefusedFor :many
SELECT sequence, order_sid, code FROM refusals WHERE holder_sid = @holder_sid AND holder_sid <> '' ORDER BY sequence;

-- name: TakeRegisters :exec
INSERT INTO tallies (what, kind, more, n)
SELECT 'registers', '', '', -count(*) FROM inbox WHERE sequence IN (SELECT value FROM json_each(CAST(@sequences AS TEXT)))
ON CONFLICT (what, kind, more) DO UPDATE SET n = n + excluded.n;

-- name: DeleteInbox :exec
DELETE FROM inbox WHERE sequence IN (SELECT value FROM json_each(CAST(@sequences AS TEXT)));

-- name: TakeDocument :exec
INSERT INTO tallies (what, kind, more, n)
SELECT 'documents', status, '', -count(*) FROM documents WHERE sid = @sid GROUP BY status
ON CONFLICT (what, kind, more) DO UPDATE SET n = n + excluded.n;

-- name: DeleteDocument :exec
DELETE FROM documents WHERE sid = @sid;

-- name: TakeMails :exec
INSERT INTO tallies (what, kind, more, n)
SELECT 'mails', kind, state, -count(*) FROM mails
WHERE id > CAST(@sid AS TEXT) || '.' AND id < CAST(@sid AS TEXT) || '/' GROUP BY kind, state
ON CONFLICT (what, kind, more) DO UPDATE SET n = n + excluded.n;

-- name: DeleteMails :exec
DELETE FROM mails WHERE id > CAST(@sid AS TEXT) || '.' AND id < CAST(@sid AS TEXT) || '/';

-- name: TakeRefusals :exec
INSERT INTO tallies (what, kind, more, n)
SELECT 'refusals', code, '', -count(*) FROM refusals WHERE document_sid = @document_sid AND sequence < @below GROUP BY code
ON CONFLICT (what, kind, more) DO UPDATE SET n = n + excluded.n;

-- name: DeleteRefusals :exec
DELETE FROM refusals WHERE document_sid = @document_sid AND sequence < @below;

-- name: AccountsNaming :many
SELECT CAST(t.account_sid AS TEXT) AS account_sid FROM refusals AS t WHERE t.document_sid = @document_sid
UNION SELECT CAST(p.account_sid AS TEXT) FROM parked AS p WHERE p.document_sid = @document_sid;

-- name: DeleteOutboxEvents :exec
DELETE FROM outbox_events
WHERE subject > CAST(@prefix AS TEXT) || '.' AND subject < CAST(@prefix AS TEXT) || '/' AND cause < @below;

-- name: DeleteOutboxSubject :exec
DELETE FROM outbox_events WHERE subject = @subject;

-- name: DeleteDocumentParked :exec
DELETE FROM parked WHERE document_sid = @document_sid;

-- name: DeleteHistory :exec
DELETE FROM history WHERE document_sid = @document_sid AND sequence < @below;

-- name: DeleteHolderOf :exec
DELETE FROM holders WHERE document_sid = @document_sid AND key = @key;

-- name: KeepHolder :exec
INSERT INTO holders (key, document_sid, account_sid) VALUES (@key, @document_sid, @account_sid) ON CONFLICT DO NOTHING;

-- name: OutboxEventsSince :many
SELECT type, CAST(count(*) AS INTEGER) AS n FROM outbox_events WHERE cause > @sequence GROUP BY type;

-- name: MailsSince :many
SELECT kind, CAST(count(*) AS INTEGER) AS n FROM mails WHERE cause_seq > @sequence AND state <> 'withdrawn' GROUP BY kind;

-- name: RefusalsSince :many
SELECT code, CAST(count(*) AS INTEGER) AS n FROM refusals WHERE sequence > @sequence GROUP BY code;

-- name: AddClosed :exec
INSERT INTO closed (sequence, by_sequence, reason, at_ms)
VALUES (@sequence, @by_sequence, @reason, @at_ms) ON CONFLICT DO NOTHING;

-- name: ListRefusals :many
SELECT t.sequence, t.dead, t.subject, t.document_sid, t.source, t.event_id, t.code, t.message, t.field, t.at_ms,
  CAST(COALESCE(c.by_sequence, 0) AS INTEGER) AS by_sequence, CAST(COALESCE(c.reason, '') AS TEXT) AS reason,
  CAST(COALESCE(c.at_ms, 0) AS INTEGER) AS closed_ms
FROM refusals AS t LEFT JOIN closed AS c ON c.sequence = t.sequence
WHERE (CAST(@sequence AS INTEGER) = 0 OR t.sequence = CAST(@sequence AS INTEGER))
  AND (CAST(@account_sid AS TEXT) = '' OR t.account_sid = CAST(@account_sid AS TEXT))
  AND (CAST(@document_sid AS TEXT) = '' OR t.document_sid = CAST(@document_sid AS TEXT))
  AND (CAST(@code AS TEXT) = '' OR t.code = CAST(@code AS TEXT))
  AND (CAST(@dead AS INTEGER) < 0 OR t.dead = CAST(@dead AS INTEGER))
  AND t.at_ms >= CAST(@since_ms AS INTEGER)
  AND (CAST(@closed_too AS INTEGER) = 1 OR c.sequence IS NULL)
ORDER BY t.sequence DESC LIMIT @most;

-- name: CountClosedDead :one
SELECT count(*) FROM closed AS c CROSS JOIN refusals AS t WHERE t.sequence = c.sequence AND t.dead = 1;

-- name: WhatBecameOf :one
SELECT sequence, result FROM inbox WHERE account_sid = @account_sid AND source = @source AND event_id = @event_id;

-- name: ResultAt :one
SELECT result FROM inbox WHERE sequence = @sequence;

-- name: DeleteClosed :exec
DELETE FROM closed WHERE sequence IN (SELECT t.sequence FROM refusals AS t WHERE t.document_sid = @document_sid AND t.sequence < @below);

-- name: AttemptedMails :many
SELECT m.id FROM json_each(CAST(@ids AS TEXT)) AS i CROSS JOIN mails AS m WHERE m.id = i.value AND m.attempts > 0;

-- name: AddBounce :exec
INSERT INTO bounces (mail_id, sequence, at_ms, action, status, diagnostic)
VALUES (@mail_id, @sequence, @at_ms, @action, @status, @diagnostic) ON CONFLICT DO NOTHING;

-- name: DocumentBounces :many
SELECT * FROM bounces WHERE mail_id > CAST(@sid AS TEXT) || '.' AND mail_id < CAST(@sid AS TEXT) || '/' ORDER BY sequence;

-- name: DeleteBounces :exec
DELETE FROM bounces WHERE mail_id > CAST(@sid AS TEXT) || '.' AND mail_id < CAST(@sid AS TEXT) || '/';

-- name: LinksOut :one
SELECT CAST(count(*) AS INTEGER) FROM documents AS d
WHERE d.status = 'signing' OR d.status = 'opened' AND EXISTS (
  SELECT 1 FROM mails AS m
  WHERE m.id > d.sid || '.' || CAST(d.round AS TEXT) || '.' AND m.id < d.sid || '.' || CAST(d.round AS TEXT) || '/'
    AND m.kind = 'signature' AND (m.state = 'claimed' OR m.doubts > 0));

-- name: KeptLetter :one
SELECT * FROM documents WHERE status = 'signed' AND CASE WHEN details = '' THEN 0 ELSE json_extract(details, '$.letter_kept') END = 1 ORDER BY place LIMIT 1;

-- name: AllWebhooks :many
SELECT * FROM webhooks ORDER BY created_ms, sid;

-- name: PutWebhook :exec
INSERT INTO webhooks (sid, account_sid, url, status, reason, secrets, sequence, created_ms, updated_ms)
VALUES (@sid, @account_sid, @url, @status, @reason, @secrets, @sequence, @created_ms, @updated_ms)
ON CONFLICT (sid) DO UPDATE SET url = excluded.url, status = excluded.status, reason = excluded.reason,
  secrets = excluded.secrets, sequence = excluded.sequence, updated_ms = excluded.updated_ms;

-- name: DeleteWebhook :exec
DELETE FROM webhooks WHERE sid = @sid;

-- name: AddDelivery :exec
INSERT INTO deliveries (id, account_sid, receiver, about, document_sid, type, method, url, body, state, caused_ms, due_ms, failures, claim, code, reply)
VALUES (@id, @account_sid, @receiver, @about, @document_sid, @type, @method, @url, @body,
  CASE WHEN EXISTS (SELECT 1 FROM deliveries AS o WHERE o.receiver = @receiver AND o.about = @about AND o.state <> 'dead')
    THEN 'waiting' ELSE 'pending' END,
  @caused_ms, @due_ms, 0, 0, 0, '')
ON CONFLICT DO NOTHING;

-- name: GetDelivery :one
SELECT * FROM deliveries WHERE id = @id;

-- name: SetDelivery :exec
UPDATE deliveries SET state = @state, due_ms = @due_ms, failures = @failures, claim = @claim, code = @code, reply = @reply WHERE id = @id;

-- name: DeleteDelivery :exec
DELETE FROM deliveries WHERE id = @id;

-- name: AdvanceDeliveries :exec
-- The oldest unfinished delivery to a receiver about one thing may go.
UPDATE deliveries SET state = 'pending' WHERE state = 'waiting' AND place = (SELECT o.place FROM deliveries AS o
  WHERE o.receiver = @receiver AND o.about = @about AND o.state <> 'dead' ORDER BY o.place LIMIT 1);

-- name: StopDeliveries :exec
UPDATE deliveries SET state = 'dead', reply = @reply WHERE receiver = @receiver AND state <> 'dead';

-- name: DeleteDeliveries :exec
DELETE FROM deliveries WHERE receiver = @receiver;

-- name: DeleteDocumentDeliveries :exec
DELETE FROM deliveries WHERE document_sid = @document_sid AND document_sid <> '';

-- name: OrdersToldOf :many
SELECT DISTINCT receiver, about FROM deliveries WHERE document_sid = @document_sid AND document_sid <> '' AND about <> document_sid;

-- name: DueReceivers :many
-- It skips from receiver to receiver in the index and does not read what waits for each.
WITH RECURSIVE r (receiver) AS (
  SELECT (SELECT MIN(d.receiver) FROM deliveries AS d WHERE d.state = 'pending')
  UNION ALL
  SELECT (SELECT MIN(d.receiver) FROM deliveries AS d WHERE d.state = 'pending' AND d.receiver > r.receiver) FROM r WHERE r.receiver IS NOT NULL
)
SELECT CAST(r.receiver AS TEXT) AS receiver,
  CAST((SELECT MIN(d.due_ms) FROM deliveries AS d WHERE d.state = 'pending' AND d.receiver = r.receiver) AS INTEGER) AS due_ms
FROM r WHERE r.receiver IS NOT NULL;

-- name: DueDeliveries :many
SELECT id FROM deliveries WHERE receiver = @receiver AND state = 'pending' AND due_ms <= @now_ms ORDER BY due_ms, place LIMIT @most;

-- name: ClaimedDeliveries :many
SELECT * FROM deliveries WHERE state = 'claimed' AND claim = @claim ORDER BY place;

-- name: OpenDeliveryClaims :many
SELECT DISTINCT claim FROM deliveries WHERE state = 'claimed' ORDER BY claim;

-- name: ListDeliveries :many
SELECT * FROM deliveries WHERE (CAST(@of AS TEXT) = '' OR receiver = CAST(@of AS TEXT)) AND (CAST(@only AS TEXT) = '' OR state = CAST(@only AS TEXT))
ORDER BY place LIMIT @most;

-- name: CountDeliveries :many
SELECT receiver, state, CAST(COUNT(*) AS INTEGER) AS n, CAST(MIN(caused_ms) AS INTEGER) AS oldest_ms FROM deliveries GROUP BY receiver, state;

-- name: WebhookEnabled :one
SELECT CAST(COUNT(*) AS INTEGER) AS n FROM webhooks WHERE sid = @sid AND status = 'enabled';
