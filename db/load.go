package db

import (
	"context"
	"slices"

	"countersign/workflow"
)

// load reads what the entries may touch: documents with their orders,
// pending mails and parked events, the holders of orders, and which of the
// entries were met before.
func (b *batch) load(ctx context.Context, entries []workflow.Entry) error {
	if b.states == nil {
		b.states = make(map[workflow.SID]*workflow.State)
	}
	b.metAt, b.verdicts = make(map[workflow.Identity]int, len(entries)), make(map[workflow.Identity]string)
	b.mails, b.tallies = make(map[workflow.MailID]workflow.Mail), make(map[tally]int)
	b.mailsHad = make(map[workflow.MailID]workflow.Mail)
	b.pendingAt, b.done = make(map[string]int), make(map[string]uint64)
	b.stored = make(map[workflow.SID]workflow.Document)
	b.holders = make(map[string]workflow.Holder)
	also, err := b.loadApart(ctx, entries)
	if err != nil {
		return err
	}
	b.touched = touched(entries, also)
	sids := slices.DeleteFunc(slices.Clone(b.touched), func(sid workflow.SID) bool { return b.states[sid] != nil })
	if err := b.loadKnown(ctx, entries); err != nil {
		return err
	}
	if len(sids) > 0 {
		if err := b.loadDocuments(ctx, encode(sids)); err != nil {
			return err
		}
		if err := b.loadErased(ctx, encode(sids)); err != nil {
			return err
		}
	}
	if err := b.loadBlocked(ctx); err != nil {
		return err
	}
	if err := b.loadWebhooks(ctx); err != nil {
		return err
	}
	if err := b.loadAttempted(ctx, entries); err != nil {
		return err
	}
	b.waiting = b.whoWaits(entries)
	if err := b.loadOrders(ctx, entries); err != nil {
		return err
	}
	return b.loadHolders(ctx, entries)
}

// touched lists the documents that the entries are about, and others.
func touched(entries []workflow.Entry, others []workflow.SID) []workflow.SID {
	set := ordered[workflow.SID]{list: []workflow.SID{}}
	for _, sid := range others {
		set.add(sid)
	}
	for _, e := range entries {
		switch body := e.Body.(type) {
		case workflow.Claimed:
			for _, id := range body.Mails {
				set.add(id.Document())
			}
		case workflow.Settled:
			for _, o := range body.Outcomes {
				set.add(o.Mail.Document())
			}
		default:
			if e.Document != "" {
				set.add(e.Document)
			}
		}
	}
	return set.list
}

func (b *batch) loadKnown(ctx context.Context, entries []workflow.Entry) (err error) {
	b.known, err = knownEvents(ctx, b.q, identities(entries))
	return err
}

func (b *batch) loadDocuments(ctx context.Context, sids string) error {
	documents, err := b.q.LoadDocuments(ctx, sids)
	if err != nil {
		return err
	}
	for _, r := range documents {
		d, err := document(r)
		if err != nil {
			return err
		}
		b.states[d.SID] = &workflow.State{Document: d}
	}
	if err := b.loadParked(ctx, sids); err != nil || len(documents) == 0 {
		return err // nothing else is kept of a document that is not there
	}
	mails, err := b.q.LoadPendingMails(ctx, sids)
	if err != nil {
		return err
	}
	for _, r := range mails {
		s := b.state(r.ID.Document())
		s.Mails = append(s.Mails, pendingMail(r))
	}
	asked, err := b.q.LoadAsked(ctx, sids)
	if err != nil {
		return err
	}
	for _, r := range asked {
		s := b.state(r.ID.Document())
		s.Asked = append(s.Asked, fromMS(r.CausedMS))
	}
	running, err := b.q.LoadTimers(ctx, sids)
	if err != nil {
		return err
	}
	for _, r := range running {
		s := b.state(r.DocumentSID)
		s.Timers = append(s.Timers, timer(r))
	}
	return nil
}

func (b *batch) loadParked(ctx context.Context, sids string) error {
	waiting, err := b.q.LoadParked(ctx, sids)
	if err != nil {
		return err
	}
	for _, r := range waiting {
		p, err := parked(r)
		if err != nil {
			return err
		}
		s := b.state(r.DocumentSID)
		s.Parked = append(s.Parked, p)
	}
	return nil
}

// state is the document's state in this batch; an unseen one if there is
// none yet.
func (b *batch) state(sid workflow.SID) *workflow.State {
	s := b.states[sid]
	if s == nil {
		s = &workflow.State{Document: workflow.Document{SID: sid}}
		b.states[sid] = s
	}
	return s
}

// loadHolders reads which live documents have the orders and telephone numbers
// that the entries, or events parked for their documents, could put on theirs.
func (b *batch) loadHolders(ctx context.Context, entries []workflow.Entry) error {
	named := ordered[string]{list: []string{}}
	add := func(sid workflow.SID, e workflow.Entry) {
		for _, key := range workflow.NamedKeys(b.state(sid).Document, e, b.orders) {
			named.add(key)
		}
	}
	for _, e := range entries {
		if sid := b.documentOf(e); sid != "" || e.Order != "" {
			add(sid, e)
		}
	}
	for _, sid := range b.touched {
		for _, p := range b.state(sid).Parked {
			add(sid, p.Entry)
		}
	}
	if len(named.list) == 0 {
		return nil
	}
	rows, err := b.q.Holders(ctx, encode(named.list))
	for _, r := range rows {
		b.holders[r.Key] = workflow.Holder{Document: r.DocumentSID, Account: r.AccountSID}
	}
	return err
}

// loadAttempted reads which of the mails that the entries report on have been
// begun.
func (b *batch) loadAttempted(ctx context.Context, entries []workflow.Entry) error {
	var ids []workflow.MailID
	for _, e := range entries {
		if body, ok := e.Body.(workflow.Bounced); ok {
			ids = append(ids, body.Named()...)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := b.q.AttemptedMails(ctx, encode(ids))
	b.attempted = make(map[workflow.MailID]bool, len(rows))
	for _, id := range rows {
		b.attempted[id] = true
	}
	return err
}
