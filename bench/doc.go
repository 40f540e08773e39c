// Package bench measures the program against itself: figures of one run, side
// by side, and ratios between them, because one machine is not another and not
// the same an hour later. Nothing here passes or fails by its speed.
//
//	go test ./bench -run '^$' -bench Million -timeout 30m
//
// BENCH_DOCUMENTS is how many documents there are, a million by default.
package bench
