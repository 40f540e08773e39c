// Package house holds the source of this repository to the rules of the house:
// how long a function may be, how a test is named, which words nobody should
// have to guess. All of it is tests, and `make check` runs them;
// CONTRIBUTING.md gives the reason of each rule.
//
// house_exceptions.txt lists the places that still break a rule, one a line:
// the rule's name, a space, the place. A test fails if a place breaks a rule and
// is not on the list, and also if it is on the list and breaks no rule any more,
// so that the list only gets shorter.
package house
