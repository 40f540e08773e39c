// Package sim runs Countersign against a model of the world, one seed at a
// time: the real rules, store, log client and relay, over a model of the
// stream, of the mail server, and of workers that crash, freeze and restart.
// All of it is test code; docs/simulation.md says what it promises.
package sim
