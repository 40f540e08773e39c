package workflow

// AddRules adds a version of the rules with the machine of the first but for
// one row, until the returned function is called.
func AddRules(from Status, row string) (remove func()) {
	version := RulesVersion() + 1
	next := map[Status]string{}
	for s, r := range machine {
		next[s] = r
	}
	next[from] = row
	machines[version] = next
	return func() { delete(machines, version) }
}
