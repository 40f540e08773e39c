package terminal

import (
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Progress shows how far a long piece of work has come: a bar on a terminal,
// else a line every five seconds. Its methods must not be called by two
// goroutines at once.
type Progress interface {
	Step()    // one more is done
	To(n int) // n are done in all
	Done()    // the work has ended, complete or not
}

// NewProgress counts up to total things. done says what is done to them, and
// what says what they are: "published", "events".
func NewProgress(w *Printer, total int, done, what string) Progress {
	if !w.Terminal() {
		return &plainProgress{w: w, total: total, did: done, what: what, start: time.Now(), next: time.Now().Add(plainEvery)}
	}
	p := mpb.New(mpb.WithOutput(w.Device()), mpb.WithWidth(48), mpb.WithRefreshRate(100*time.Millisecond))
	return &bar{p, p.AddBar(int64(total),
		mpb.PrependDecorators(decor.Name(done+" "), decor.CountersNoUnit("%d / %d")),
		mpb.AppendDecorators(decor.AverageSpeed(0, " %.0f/s"), decor.Name("  "), decor.AverageETA(decor.ET_STYLE_GO)),
	)}
}

type bar struct {
	p   *mpb.Progress
	bar *mpb.Bar
}

func (b *bar) Step()    { b.bar.Increment() }
func (b *bar) To(n int) { b.bar.SetCurrent(int64(n)) }

// Done leaves the bar as it is, complete or not.
func (b *bar) Done() {
	if !b.bar.Completed() {
		b.bar.Abort(false)
	}
	b.p.Wait()
}

const plainEvery = 5 * time.Second

type plainProgress struct {
	w           *Printer
	total, n    int
	did, what   string
	start, next time.Time
}

func (p *plainProgress) Step() { p.To(p.n + 1) }

func (p *plainProgress) To(n int) {
	p.n = n
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(plainEvery)
		p.print()
	}
}

func (p *plainProgress) Done() { p.print() }

func (p *plainProgress) print() {
	p.w.Linef("%s %d of %d %s, %s", p.did, p.n, p.total, p.what, time.Since(p.start).Round(time.Millisecond))
}
