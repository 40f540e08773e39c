package workflow

// cell is the machine's answer to a status that is asked for.
type cell byte

const (
	refuse cell = '.' // no such move; a named reason
	same   cell = '=' // it has this status already
	move   cell = 'x'
	edit   cell = 'e' // new content for an opened document
	send   cell = 's' // the signature email becomes pending
	recall cell = 'r' // a new round, in which it can be changed
	park   cell = 'p' // kept until it can apply
)

// machine is the whole state machine of version 1 of the rules. A row is the
// status of the document, a column the status that is asked for, in the order
// of Statuses. Created and updated ask for opened.
var machine = map[Status]string{
	//       opened signing signed canceled failed
	Unseen:   "x" + "p" + "p" + "p" + "p",
	Opened:   "e" + "s" + "p" + "x" + "x",
	Signing:  "r" + "=" + "x" + "x" + "x",
	Signed:   "." + "." + "=" + "." + ".",
	Canceled: "." + "." + "." + "=" + ".",
	Failed:   "." + "." + "." + "." + "=",
}

// machines has the state machine of each version of the rules, from version 1.
// The machine of a released version must not change: whenever a log is read,
// its entries must be decided as before.
var machines = map[int]map[Status]string{1: machine}

// RulesVersion returns the newest version of the rules that this program knows.
// The log says which one is in force.
func RulesVersion() int { return len(machines) }

// machineOf is the state machine of a version of the rules; 0 means the
// first.
func machineOf(version int) map[Status]string { return machines[max(version, 1)] }

// asked looks up a cell in the machine of a version of the rules.
func asked(rules int, from, to Status) cell {
	for i, s := range Statuses {
		if s == to {
			return cell(machineOf(rules)[from][i])
		}
	}
	return refuse
}

// waits reports whether an event has to be parked: it builds on one that has
// not come yet.
func waits(rules int, from Status, b Body) bool {
	if k := KindOf(b.Type()); from == Unseen && k != nil && k.Waits {
		return true
	}
	s, ok := b.(StatusChanged)
	return ok && asked(rules, from, s.Status) == park
}

// otherRound reports whether an event is about another round than the current
// one: whoever signed or declined in that round has not seen the current
// letter.
func otherRound(d Document, b Body) bool {
	round := 0
	switch b := b.(type) {
	case StatusChanged:
		round = b.Round
	case Resend:
		round = b.Round
	}
	return round != 0 && d.Status != Unseen && round != d.Round
}
