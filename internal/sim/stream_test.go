package sim

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/workflow"
)

// stream is the model of the log's stream.
type stream struct {
	w       *world
	created time.Time
	entries []entry
	last    map[string]uint64 // the last entry on a subject
	ids     map[string]uint64 // Nats-Msg-Ids of the duplicate window
	down    bool              // no leader
	cluster bool              // looks for a duplicate before it compares sequences
	skew    time.Duration     // of the leader's clock
	ghosts  []*nats.Msg       // on their way still, though nobody waits for an answer
	lostOne bool              // it has lost its tail at least once
}

// entry is a message on the stream, and what the follower makes of it.
type entry struct {
	workflow.Entry
	msg    *nats.Msg
	at     time.Time // by the leader's clock
	landed time.Time // by nobody's but the world's
}

const duplicateWindow = 10 * time.Minute

func (s *stream) now() time.Time { return time.Now().Add(s.skew).UTC() }

func wrongSequence(last uint64) error {
	return &jetstream.APIError{
		Code: 400, ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence, Description: fmt.Sprintf("wrong last sequence: %d", last),
	}
}

// check says whether a message may be appended: the sequence of its duplicate,
// or an error where its subject is not as expected.
func (s *stream) check(m *nats.Msg) (duplicate uint64, err error) {
	if id := m.Header.Get(jetstream.MsgIDHeader); id != "" {
		duplicate = s.ids[id]
		if duplicate > 0 && s.now().Sub(s.entries[duplicate-1].at) > duplicateWindow {
			duplicate = 0
		}
	}
	if duplicate > 0 && s.cluster {
		return duplicate, nil
	}
	expected := m.Header.Get(jetstream.ExpectedLastSubjSeqHeader)
	switch {
	case expected == "":
	case m.Subject == workflow.ClaimsSubject && s.w.broken == noClaimCheck:
	case expected == "0" && m.Subject != workflow.ClaimsSubject && s.w.broken == noOwedCheck:
	case expected != strconv.FormatUint(s.last[m.Subject], 10):
		return 0, wrongSequence(s.last[m.Subject])
	}
	return duplicate, nil
}

// append appends messages, all or none.
func (s *stream) append(by string, msgs ...*nats.Msg) (ack jetstream.PubAck, err error) {
	for _, m := range msgs {
		duplicate, err := s.check(m)
		if err != nil {
			s.w.log("%s publish %s: %v", by, m.Subject, err)
			if s.w.broken == noPlaceCheck && m.Subject != workflow.ClaimsSubject {
				return jetstream.PubAck{Sequence: s.last[m.Subject]}, nil // whatever is on the subject passes for the event
			}
			return ack, err
		}
		if duplicate > 0 {
			s.w.log("%s publish %s: duplicate of %d", by, m.Subject, duplicate)
			return jetstream.PubAck{Sequence: duplicate, Duplicate: s.w.broken != noIDCheck}, nil
		}
	}
	for _, m := range msgs {
		seq, at := uint64(len(s.entries)+1), s.now()
		e := entry{msg: m, at: at, landed: time.Now()}
		e.Entry = events.Decode(events.Message{Sequence: seq, Time: at, Subject: m.Subject, Header: m.Header, Data: m.Data})
		s.entries = append(s.entries, e)
		s.last[m.Subject] = seq
		if id := m.Header.Get(jetstream.MsgIDHeader); id != "" {
			s.ids[id] = seq
		}
		s.w.log("%s publish %s: entry %d %s", by, m.Subject, seq, e.ID)
		s.w.landed(by, e.Entry)
		ack.Sequence = seq
	}
	return ack, nil
}

// loseTail takes the last n entries off, as a power cut does.
func (s *stream) loseTail(n int) {
	s.entries = s.entries[:max(1, len(s.entries)-n)]
	s.last, s.ids, s.lostOne = map[string]uint64{}, map[string]uint64{}, true
	for i, e := range s.entries {
		s.last[e.Subject] = uint64(i + 1)
		if id := e.msg.Header.Get(jetstream.MsgIDHeader); id != "" {
			s.ids[id] = uint64(i + 1)
		}
	}
}

// client is JetStream as one run of a worker sees it.
type client struct {
	jetstream.JetStream
	run *run
}

// errSilence is what a request meets that is never answered.
var errSilence = context.DeadlineExceeded

// ask takes a request to the leader: do runs there, unless there is none or the
// request or the answer is lost. landed tells what is lost that went out: it
// may still arrive.
func (r *run) ask(ctx context.Context, key string, msgs []*nats.Msg, do func()) error {
	w, arrived := r.w, false
	var err error
	if name, ok := ctx.Value(partKey{}).(string); ok {
		key += " for " + name
	}
	c := &call{run: r, key: key, ctx: ctx}
	c.late = func() {
		err = errSilence
		w.faults++
		if !arrived && !c.lost && w.chance(2) {
			w.stream.ghosts = append(w.stream.ghosts, msgs...)
		}
	}
	c.step = func() bool {
		switch {
		case arrived:
			if c.lost = w.trouble(w.plan.lossy); c.lost {
				w.log("%s %s: the answer is lost", r.name, key)
			}
			return !c.lost
		case w.stream.down && w.chance(2):
			w.log("%s %s: nobody there", r.name, key)
			err = nats.ErrNoResponders
			return true
		case w.stream.down || w.trouble(w.plan.lossy):
			w.log("%s %s: the request is lost", r.name, key)
			c.lost = true
			if w.chance(3) {
				w.stream.ghosts = append(w.stream.ghosts, msgs...)
			}
			return false
		}
		do()
		arrived = true
		if w.trouble(w.plan.lossy) {
			w.stream.ghosts = append(w.stream.ghosts, msgs...) // it arrives twice
		}
		return len(msgs) == 0 // what only reads is answered at once
	}
	if over := w.park(c); over != nil {
		return context.Canceled
	}
	return err
}

// PublishMsg implements jetstream.Publisher.
func (c client) PublishMsg(ctx context.Context, m *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	m = copied(m)
	var ack jetstream.PubAck
	var refusal error
	key := "publish " + m.Subject + " " + m.Header.Get(jetstream.MsgIDHeader)
	err := c.run.ask(ctx, key, []*nats.Msg{m}, func() { ack, refusal = c.run.w.stream.append(c.run.name, m) })
	return &ack, errors.Join(err, refusal)
}

func copied(m *nats.Msg) *nats.Msg {
	out := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
	for k, v := range m.Header {
		out.Header[k] = v
	}
	return out
}

func (c client) batch(ctx context.Context, msgs []*nats.Msg) (*jetstreamext.BatchAck, error) {
	var ack jetstream.PubAck
	var refusal error
	key := "batch " + msgs[0].Subject
	err := c.run.ask(ctx, key, msgs, func() { ack, refusal = c.run.w.stream.append(c.run.name, msgs...) })
	return &jetstreamext.BatchAck{Sequence: ack.Sequence}, errors.Join(err, refusal)
}

// Stream implements jetstream.StreamManager.
func (c client) Stream(ctx context.Context, _ string) (jetstream.Stream, error) {
	out := &streamView{run: c.run}
	err := c.run.ask(ctx, "info", nil, func() { out.info = c.run.w.stream.info() })
	return out, err
}

func (s *stream) info() jetstream.StreamInfo {
	state := jetstream.StreamState{FirstSeq: 1, LastSeq: uint64(len(s.entries)), Msgs: uint64(len(s.entries))}
	if n := len(s.entries); n > 0 {
		state.LastTime = s.entries[n-1].at
	}
	return jetstream.StreamInfo{
		Created: s.created, TimeStamp: s.now(), State: state,
		Config: jetstream.StreamConfig{
			Name: events.StreamName, Subjects: []string{"authdocs.>"}, Storage: jetstream.FileStorage, Replicas: 1,
			AllowAtomicPublish: true, Duplicates: duplicateWindow, MaxMsgSize: eventlog.MaxMessage,
		},
	}
}

// streamView is the stream as a worker has looked it up.
type streamView struct {
	jetstream.Stream
	run  *run
	info jetstream.StreamInfo
}

func (v *streamView) CachedInfo() *jetstream.StreamInfo { return &v.info }

// CreateConsumer implements jetstream.StreamConsumerManager for whoever reads
// what is on a subject.
func (c client) CreateConsumer(ctx context.Context, _ string, config jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	r := &reader{run: c.run}
	err := c.run.ask(ctx, "read "+config.FilterSubject, nil, func() {
		for _, e := range c.run.w.stream.entries {
			if e.Sequence >= config.OptStartSeq && matches(config.FilterSubject, e.Subject) {
				r.left = append(r.left, e)
			}
		}
	})
	return r, err
}

// matches matches a subject as NATS does, with ">" at the end.
func matches(filter, subject string) bool {
	prefix, wild := strings.CutSuffix(filter, ">")
	return subject == filter || wild && strings.HasPrefix(subject, prefix)
}

// reader is a consumer that is read to its end.
type reader struct {
	jetstream.Consumer
	run  *run
	left []entry
}

// page is its iterator.
type page struct {
	*reader
	sent uint64
}

func (r *reader) CachedInfo() *jetstream.ConsumerInfo {
	return &jetstream.ConsumerInfo{NumPending: uint64(len(r.left))}
}

func (r *reader) Messages(...jetstream.PullMessagesOpt) (jetstream.MessagesContext, error) {
	return &page{reader: r}, nil
}

func (p *page) Next(...jetstream.NextOpt) (jetstream.Msg, error) {
	p.sent++
	return &message{number: p.sent, entry: p.left[p.sent-1]}, nil
}

func (p *page) Stop()  {}
func (p *page) Drain() {}

func (v *streamView) GetMsg(ctx context.Context, seq uint64, _ ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	return v.get(ctx, fmt.Sprint("get ", seq), func() uint64 { return seq })
}

func (v *streamView) GetLastMsgForSubject(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	return v.get(ctx, "last "+subject, func() uint64 { return v.run.w.stream.last[subject] })
}

func (v *streamView) get(ctx context.Context, key string, which func() uint64) (*jetstream.RawStreamMsg, error) {
	var msg *jetstream.RawStreamMsg
	err := v.run.ask(ctx, key, nil, func() {
		s, seq := &v.run.w.stream, which()
		v.run.w.log("%s %s: %d", v.run.name, key, seq)
		if seq > 0 && seq <= uint64(len(s.entries)) {
			e := s.entries[seq-1]
			msg = &jetstream.RawStreamMsg{Sequence: seq, Time: e.at, Subject: e.Subject, Header: e.msg.Header, Data: e.msg.Data}
		}
	})
	if err == nil && msg == nil {
		err = jetstream.ErrMsgNotFound
	}
	return msg, err
}

// CreateConsumer implements jetstream.ConsumerManager.
func (v *streamView) CreateConsumer(_ context.Context, c jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	return &consumer{run: v.run, after: c.OptStartSeq - 1}, nil
}

// consumer sends one run what comes after a sequence, an entry at a time, when
// the scheduler says so.
type consumer struct {
	jetstream.Consumer
	run     *run
	after   uint64
	sent    uint64
	msgs    chan *message
	silent  chan struct{}
	stopped chan struct{}
}

func (c *consumer) Messages(...jetstream.PullMessagesOpt) (jetstream.MessagesContext, error) {
	c.msgs, c.silent, c.stopped = make(chan *message, 1000), make(chan struct{}), make(chan struct{})
	c.run.w.mu.Lock()
	defer c.run.w.mu.Unlock()
	c.run.following = c
	return iterator{c}, nil
}

// iterator implements jetstream.MessagesContext.
type iterator struct{ *consumer }

func (i iterator) Next(...jetstream.NextOpt) (jetstream.Msg, error) {
	select {
	case <-i.stopped:
		return nil, jetstream.ErrMsgIteratorClosed
	default:
	}
	select {
	case m := <-i.msgs:
		return m, nil
	case <-i.silent:
		return nil, jetstream.ErrNoHeartbeat
	case <-i.stopped:
		return nil, jetstream.ErrMsgIteratorClosed
	}
}

func (i iterator) Stop()  { close(i.stopped) }
func (i iterator) Drain() {}

// message is an entry as a consumer is sent it.
type message struct {
	jetstream.Msg
	number uint64
	entry
}

func (m *message) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{
		Sequence: jetstream.SequencePair{Consumer: m.number, Stream: m.Sequence}, Timestamp: m.at,
	}, nil
}
func (m *message) Subject() string      { return m.msg.Subject }
func (m *message) Headers() nats.Header { return m.msg.Header }
func (m *message) Data() []byte         { return m.msg.Data }
