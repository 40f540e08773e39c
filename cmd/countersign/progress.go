package main

import (
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows how far something is: a bar on a terminal, else a line every
// five seconds.
type progress interface {
	step()
	done()
}

func newProgress(w io.Writer, total int) progress {
	if !terminal(w) {
		return &plainProgress{w: w, total: total, start: time.Now(), next: time.Now().Add(plainEvery)}
	}
	p := mpb.New(mpb.WithOutput(w), mpb.WithWidth(48), mpb.WithRefreshRate(100*time.Millisecond))
	return &bar{p, p.AddBar(int64(total),
		mpb.PrependDecorators(decor.Name("published "), decor.CountersNoUnit("%d / %d")),
		mpb.AppendDecorators(decor.AverageSpeed(0, " %.0f/s"), decor.Name("  "), decor.AverageETA(decor.ET_STYLE_GO)),
	)}
}

type bar struct {
	p   *mpb.Progress
	bar *mpb.Bar
}

func (b *bar) step() { b.bar.Increment() }

// done leaves the bar as it stands, complete or not.
func (b *bar) done() {
	if !b.bar.Completed() {
		b.bar.Abort(false)
	}
	b.p.Wait()
}

const plainEvery = 5 * time.Second

type plainProgress struct {
	w           io.Writer
	total, n    int
	start, next time.Time
}

func (p *plainProgress) step() {
	p.n++
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(plainEvery)
		p.print()
	}
}

func (p *plainProgress) done() { p.print() }

func (p *plainProgress) print() {
	fmt.Fprintf(p.w, "published %d of %d events, %s\n", p.n, p.total, time.Since(p.start).Round(time.Millisecond))
}
