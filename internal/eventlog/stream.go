package eventlog

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign/events"
)

const (
	streamSubjects = "authdocs.>"
	minDuplicates  = 2 * time.Minute
)

// MaxMessage is the largest message on the log in bytes, headers included. A
// became event is this large if 1,000 orders have the longest reasons and
// carriers in the longest characters. Events of other services are limited by
// events.MaxPayload. The max_payload of a NATS server for Countersign must be
// at least this.
const MaxMessage = 8 << 20

// mostMessage is the largest max_msg_size that the stream may have. A message
// that is larger than one pull could not be read, and the follower would stop
// there.
const mostMessage = maxPullBytes - 1<<20

// The stream takes all subjects below authdocs., not only those of the
// contract. Narrower subjects would not protect Countersign's own subjects,
// which are part of the contract; and a publisher who misspells a subject would
// get no answer instead of a dead letter.

// streamConfig is the configuration with which the stream is created.
func streamConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               events.StreamName,
		Description:        "Authorization Documents: everything that happened to them",
		Subjects:           []string{streamSubjects},
		Storage:            jetstream.FileStorage,
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardOld,
		MaxConsumers:       -1,
		MaxMsgs:            -1,
		MaxBytes:           -1,
		MaxMsgsPerSubject:  -1,
		MaxMsgSize:         MaxMessage,
		Duplicates:         10 * time.Minute,
		AllowAtomicPublish: true,
		AllowDirect:        false, // any replica may answer a direct get, even one that lags behind
		Replicas:           replicas,
	}
}

// UnsafeStreamError means that the stream has settings that could lose events,
// or with which the log cannot work.
type UnsafeStreamError struct {
	Stream   string
	Settings []UnsafeSetting // at least one
}

// UnsafeSetting is one setting of a stream that must be changed.
type UnsafeSetting struct {
	Name string // as in the stream's JSON configuration
	Is   string
	Must string
	Flag string // the flag of nats stream edit that corrects it; empty if the setting cannot be changed
}

// Error implements error, with the command that corrects what can be corrected.
func (e *UnsafeStreamError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stream %s is not safe to keep the log in:", e.Stream)
	var flags, fixed []string
	for _, s := range e.Settings {
		fmt.Fprintf(&b, " %s is %s and must be %s;", s.Name, s.Is, s.Must)
		if s.Flag != "" {
			flags = append(flags, s.Flag)
		} else {
			fixed = append(fixed, s.Name)
		}
	}
	b.WriteString(" to fix it:")
	if len(flags) > 0 {
		fmt.Fprintf(&b, " nats stream edit %s %s", e.Stream, strings.Join(flags, " "))
	}
	if len(fixed) > 0 {
		fmt.Fprintf(&b, " (%s cannot be changed on a stream that is there: stop the workers, run nats stream backup %s DIR, check that the backup is complete, and only then remove the stream and run nats stream restore DIR --config FILE with the setting corrected in FILE)", strings.Join(fixed, ", "), e.Stream)
	}
	return b.String()
}

// checkStream fails with an *UnsafeStreamError if the configuration could lose
// events, or if the log cannot work with it.
func checkStream(c jetstream.StreamConfig, replicas int) error {
	var unsafe []UnsafeSetting
	for _, rule := range slices.Concat(losing(c), needed(c, replicas)) {
		if rule.broken {
			unsafe = append(unsafe, rule.UnsafeSetting)
		}
	}
	if len(unsafe) == 0 {
		return nil
	}
	return &UnsafeStreamError{Stream: c.Name, Settings: unsafe}
}

func maxMsgSize(is int32) UnsafeSetting {
	text := "unlimited"
	if is > 0 {
		text = strconv.Itoa(int(is))
	}
	return UnsafeSetting{"max_msg_size", text, fmt.Sprintf("%d to %d", MaxMessage, mostMessage), fmt.Sprintf("--max-msg-size=%d", MaxMessage)}
}

type rule struct {
	broken bool
	UnsafeSetting
}

// losing lists the settings that could lose an acknowledged event. Zero or less
// means no limit.
func losing(c jetstream.StreamConfig) []rule {
	num := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []rule{
		{c.Storage != jetstream.FileStorage, UnsafeSetting{"storage", strings.ToLower(c.Storage.String()), "file", ""}},
		{c.PersistMode != jetstream.DefaultPersistMode, UnsafeSetting{"persist_mode", strings.ToLower(c.PersistMode.String()), "default", ""}},
		{c.Retention == jetstream.WorkQueuePolicy, UnsafeSetting{"retention", "workqueue", "limits", ""}},
		{c.Retention == jetstream.InterestPolicy, UnsafeSetting{"retention", "interest", "limits", "--retention=limits"}},
		{c.Discard != jetstream.DiscardOld, UnsafeSetting{"discard", "new", "old", "--discard=old"}},
		{c.MaxAge > 0, UnsafeSetting{"max_age", c.MaxAge.String(), "unlimited", "--max-age=0s"}},
		{c.MaxMsgs > 0, UnsafeSetting{"max_msgs", num(c.MaxMsgs), "unlimited", "--max-msgs=-1"}},
		{c.MaxBytes > 0, UnsafeSetting{"max_bytes", num(c.MaxBytes), "unlimited", "--max-bytes=-1"}},
		{c.MaxMsgsPerSubject > 0, UnsafeSetting{"max_msgs_per_subject", num(c.MaxMsgsPerSubject), "unlimited", "--max-msgs-per-subject=-1"}},
		{c.AllowRollup, UnsafeSetting{"allow_rollup_hdrs", "true", "false", "--no-allow-rollup"}},
		{c.AllowMsgTTL, UnsafeSetting{"allow_msg_ttl", "true", "false", ""}},
		{c.NoAck, UnsafeSetting{"no_ack", "true", "false", "--ack"}},
	}
}

// needed lists the settings that the log cannot work without.
func needed(c jetstream.StreamConfig, replicas int) []rule {
	return []rule{
		{c.Sealed, UnsafeSetting{"sealed", "true", "false", ""}},
		{!slices.Contains(c.Subjects, streamSubjects), UnsafeSetting{"subjects", cmp.Or(strings.Join(c.Subjects, ","), "none"), streamSubjects, "--subjects=" + streamSubjects}},
		{c.Mirror != nil, UnsafeSetting{"mirror", "set", "unset", "--no-mirror"}},
		{len(c.Sources) > 0, UnsafeSetting{"sources", "set", "unset", ""}},
		{c.SubjectTransform != nil, UnsafeSetting{"subject_transform", "set", "unset", "--no-transform"}},
		{c.MaxMsgSize < MaxMessage || c.MaxMsgSize > mostMessage, maxMsgSize(c.MaxMsgSize)},
		{!c.AllowAtomicPublish, UnsafeSetting{"allow_atomic", "false", "true", "--allow-batch"}},
		{c.AllowMsgCounter, UnsafeSetting{"allow_msg_counter", "true", "false", ""}},
		{c.AllowDirect, UnsafeSetting{"allow_direct", "true", "false", "--no-allow-direct"}},
		{c.Duplicates < minDuplicates, UnsafeSetting{"duplicate_window", c.Duplicates.String(), "2m0s or more", "--dupe-window=10m"}},
		{c.Replicas < replicas, UnsafeSetting{"num_replicas", strconv.Itoa(c.Replicas), strconv.Itoa(replicas) + " or more", "--replicas=" + strconv.Itoa(replicas)}},
	}
}
