package workflow

import "maps"

// The test of a rolling upgrade builds a program with this file in package workflow. It knows a
// second version of the rules, in which a signed document that is asked to be
// canceled stays as it is, without a refusal.
func init() {
	next := maps.Clone(machine)
	next[Signed] = ".." + "=" + "=" + "."
	machines[2] = next
}
