package db

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"countersign/db/internal/sqlc"
	"countersign/internal/failpoint"
	"countersign/workflow"
)

// flush writes down what the batch came to.
func (b *batch) flush(ctx context.Context) error {
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"erased documents", b.flushErased},
		{"inbox", b.flushInbox},
		{"documents", b.flushDocuments},
		{"orders and addresses", b.flushOrders},
		{"holders of orders", b.flushHolders},
		{"mails", b.flushMails},
		{"reports on mails", b.flushBounces},
		{"owed events", b.flushOutbox},
		{"deliveries", b.flushDeliveries},
		{"parked events", b.flushParked},
		{"timers", b.flushTimers},
		{"events that are done with", b.flushClosings},
		{"refused events", b.flushRefusals},
		{"history", b.flushHistory},
		{"tallies", b.flushTallies},
		{"position", b.flushPosition},
	} {
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("write %s: %w", step.name, err)
		}
		failpoint.Hit("written")
	}
	return nil
}

func (b *batch) flushInbox(ctx context.Context) error {
	for _, m := range b.met {
		p := sqlc.AddToInboxParams{
			AccountSID: m.Account, Source: m.Source, EventID: m.ID, Sequence: int64(m.sequence), EntryNs: ns(m.at), Result: string(m.result),
		}
		if err := b.q.AddToInbox(ctx, p); err != nil {
			return err
		}
	}
	for _, m := range b.again {
		p := sqlc.MetAgainParams{Sequence: int64(m.sequence), EntryNs: ns(m.at), AccountSID: m.Account, Source: m.Source, EventID: m.ID}
		if err := b.q.MetAgain(ctx, p); err != nil {
			return err
		}
	}
	for key, result := range b.verdicts {
		p := sqlc.SetInboxResultParams{Result: result, AccountSID: key.Account, Source: key.Source, EventID: key.ID}
		if err := b.q.SetInboxResult(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) flushDocuments(ctx context.Context) error {
	for _, sid := range b.documents.list {
		if err := b.putDocument(ctx, b.stored[sid], b.states[sid].Document); err != nil {
			return err
		}
	}
	return nil
}

// putDocument writes a document as it is after the batch.
func (b *batch) putDocument(ctx context.Context, before, after workflow.Document) error {
	r := documentRow(after)
	if before.Status == workflow.Unseen {
		return b.q.AddDocument(ctx, r)
	}
	if before.Status != after.Status {
		if err := b.q.SetDocumentStatus(ctx, sqlc.SetDocumentStatusParams{Status: r.Status, SID: r.SID}); err != nil {
			return err
		}
	}
	if before.Email != after.Email {
		if err := b.q.SetDocumentEmail(ctx, sqlc.SetDocumentEmailParams{Email: r.Email, SID: r.SID}); err != nil {
			return err
		}
	}
	return b.q.UpdateDocument(ctx, sqlc.UpdateDocumentParams{
		Round: r.Round, Hold: r.Hold, AddressSID: r.AddressSID, CCEmails: r.CCEmails, HostedNumberOrders: r.HostedNumberOrders,
		ContactTitle: r.ContactTitle, ContactPhoneNumber: r.ContactPhoneNumber, Reason: r.Reason, CanceledBy: r.CanceledBy,
		Evidence: r.Evidence, LetterDigest: r.LetterDigest, LetterStale: r.LetterStale, UpdatedMS: r.UpdatedMS, SignedMS: r.SignedMS,
		Timers: r.Timers, ExpiresMS: r.ExpiresMS, FreshMS: r.FreshMS, Details: r.Details, WaitsFor: r.WaitsFor, SID: r.SID,
	})
}

// flushHolders writes which orders and telephone numbers have come to a document
// or left one.
func (b *batch) flushHolders(ctx context.Context) error {
	for _, key := range b.passed.list {
		err := error(nil)
		if h, ok := b.holders[key]; ok {
			err = b.q.PutHolder(ctx, sqlc.PutHolderParams{Key: key, DocumentSID: h.Document, AccountSID: h.Account})
		} else {
			err = b.q.DeleteHolder(ctx, key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) flushMails(ctx context.Context) error {
	for _, id := range b.mailOrder.list {
		if err := b.putMail(ctx, b.mails[id]); err != nil {
			return err
		}
	}
	return nil
}

// putMail writes a mail as it is after the batch.
func (b *batch) putMail(ctx context.Context, m workflow.Mail) error {
	had, known := b.mailsHad[m.ID]
	if known && had.Doubts == m.Doubts && had.Trouble.Equal(m.Trouble) && had.Withdrawn == m.Withdrawn && m.About == nil {
		return b.q.MoveMail(ctx, sqlc.MoveMailParams{
			State: m.State, DueMS: ms(m.Due), Attempts: int64(m.Attempts), Claim: int64(m.Claim),
			Code: int64(m.Code), Reply: m.Reply, DoneMS: ms(m.DoneAt), ID: m.ID,
		})
	}
	r := mailRow(m)
	if r.Kind.Asks() {
		r.Asked = Asked(b.states[m.Document].Document.AccountSID, r.Recipient)
	}
	return b.q.PutMail(ctx, r)
}

// flushOutbox writes what is owed, and settles what the batch read back, be it
// owed in this batch or before.
func (b *batch) flushOutbox(ctx context.Context) error {
	dropped := make(map[string]bool, len(b.dropped))
	for _, subject := range b.dropped {
		dropped[subject] = true
	}
	for _, o := range b.pending {
		subject := o.Subject()
		settled := int64(b.done[subject])
		if dropped[subject] {
			settled = droppedSeq
		}
		if err := b.q.AddOutboxEvent(ctx, outboxRow(o, settled)); err != nil {
			return err
		}
	}
	if err := b.finishMet(ctx); err != nil {
		return err
	}
	for _, subject := range b.dropped {
		if err := b.q.FinishOutboxEvent(ctx, sqlc.FinishOutboxEventParams{Sequence: droppedSeq, Subject: subject}); err != nil {
			return err
		}
	}
	for subject, seq := range b.done {
		if err := b.q.FinishOutboxEvent(ctx, sqlc.FinishOutboxEventParams{Sequence: int64(seq), Subject: subject}); err != nil {
			return err
		}
	}
	return nil
}

// finishMet finishes the pending events that were read back before they became
// pending: after a log has lost its tail, two replicas may do that at different
// entries.
func (b *batch) finishMet(ctx context.Context) error {
	if len(b.pending) == 0 {
		return nil
	}
	keys := make([]workflow.Identity, len(b.pending))
	for i, o := range b.pending {
		account := workflow.SID(strings.TrimRight(string(o.Account), "_")) // the inbox has none for nobody's
		keys[i] = workflow.Identity{Account: account, Source: workflow.Source, ID: strings.TrimPrefix(o.Subject(), workflow.SubjectPrefix)}
	}
	met, err := knownEvents(ctx, b.q, keys)
	if err != nil || len(met) == 0 {
		return err
	}
	for i, o := range b.pending {
		if seq := met[keys[i]]; seq > 0 {
			if err := b.q.FinishOutboxEvent(ctx, sqlc.FinishOutboxEventParams{Sequence: seq, Subject: o.Subject()}); err != nil {
				return err
			}
		}
	}
	return nil
}

// droppedSeq settles an owed event that is no longer needed.
const droppedSeq = -1

func (b *batch) flushParked(ctx context.Context) error {
	for _, p := range b.parked {
		if slices.Contains(b.unparked, p.Entry.Sequence) {
			continue
		}
		if err := b.q.AddParked(ctx, parkedRow(p)); err != nil {
			return err
		}
	}
	for _, seq := range b.unparked {
		if err := b.q.DeleteParked(ctx, int64(seq)); err != nil {
			return err
		}
	}
	return nil
}

// flushTimers writes the timers of the documents whose timers are others now.
func (b *batch) flushTimers(ctx context.Context) error {
	for _, sid := range b.timed.list {
		if err := b.q.DeleteTimers(ctx, sid); err != nil {
			return err
		}
		for _, t := range b.states[sid].Timers {
			p := sqlc.AddTimerParams{
				DocumentSID: sid, Timer: t.Kind, Number: int64(t.Number), DueMS: ms(t.Due),
				EveryMS: t.Every.Milliseconds(), More: int64(t.More), Early: int64(t.Early),
			}
			if err := b.q.AddTimer(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *batch) flushRefusals(ctx context.Context) error {
	for _, t := range b.refusals {
		e, p := t.verdict.Entry, t.verdict.Problem
		id, source := e.ID, e.Source
		if body, ok := e.Body.(workflow.Invalid); ok {
			id, source = body.EventID, body.Origin
		}
		err := b.q.AddRefusal(ctx, sqlc.AddRefusalParams{
			Sequence: int64(e.Sequence), Dead: p.Code.Dead(), Subject: e.Subject, AccountSID: e.Account, DocumentSID: e.Document,
			Source: source, EventID: id, Code: p.Code, Message: p.Message, Field: p.Field, AtMS: ms(t.at),
			OrderSID: p.Order, OtherSID: p.Document, HolderSID: t.verdict.Holder, UntilMS: ms(p.Until),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) flushHistory(ctx context.Context) error {
	for _, l := range b.lines {
		p := sqlc.AddToHistoryParams{
			DocumentSID: l.document, Sequence: int64(l.sequence), Line: int64(l.number), AtMS: ms(l.at), What: l.note.What, Detail: l.note.Detail,
		}
		if err := b.q.AddToHistory(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) flushTallies(ctx context.Context) error {
	for t, n := range b.tallies {
		if n == 0 {
			continue
		}
		if err := b.q.AddTally(ctx, sqlc.AddTallyParams{What: t.what, Kind: t.kind, More: t.more, N: int64(n)}); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) flushPosition(ctx context.Context) error {
	p := b.pos
	return b.q.PutPosition(ctx, sqlc.PutPositionParams{
		Sequence: int64(p.Sequence), EntryNs: ns(p.Time), Source: p.Source, EventID: p.ID, StreamNs: ns(p.Stream),
		Claim: int64(p.Claim), ClaimWorker: p.ClaimWorker, Rules: int64(p.Rules), ParkingMS: p.ParkingLimit.Milliseconds(),
		Timers: encodeAny(p.Timers), MailLimits: encodeAny(p.MailLimits), NotifyCC: encodeAny(p.NotifyCC), LetterRequires: encodeAny(p.Requires),
		HookClaim: int64(p.HookClaim), HookWorker: p.HookWorker,
	})
}

func (b *batch) flushBounces(ctx context.Context) error {
	for _, x := range b.bounces {
		p := sqlc.AddBounceParams{
			MailID: x.Mail, Sequence: int64(x.Entry.Sequence), AtMS: ms(x.Entry.Time), Action: x.Action, Status: x.Status, Diagnostic: x.Diagnostic,
		}
		if err := b.q.AddBounce(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
