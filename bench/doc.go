// Package bench measures the program against itself: figures of one run, side
// by side, and ratios between them, because one machine is not another and not
// the same an hour later. Nothing in this package passes or fails by its speed.
//
//	go test ./bench -run '^$' -bench Million -timeout 30m
//	go test ./bench -run '^$' -bench Rebuild -benchtime 1x -timeout 30m
//
// BENCH_DOCUMENTS is how many documents there are, a million by default.
// BENCH_LIVES is how many whole lives a log has that is rebuilt, 20,000 by default,
// and BENCH_ALIVE how many of them are between created and registered at a time.
//
// The programs below it: ratios prints the benchmarks that matter, guard fails if whole
// lives have become slower in comparison with a naive loop, peers compares with
// programs of others, plots draws. make knows them all.
package bench
