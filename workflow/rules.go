package workflow

// machines has the state machine of each version of the rules, from 1 on.
// Once a version has been released its machine stays as it is: the entries
// that were decided by it are decided so again whenever a log is read.
var machines = map[int]map[Status]string{1: machine}

// RulesVersion returns the newest version of the rules that this program
// knows. Which one is in force the log says.
func RulesVersion() int { return len(machines) }

// machineOf is the state machine of a version of the rules; 0 stands for the
// first.
func machineOf(version int) map[Status]string { return machines[max(version, 1)] }
