package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"countersign/bench/results"
)

// chart is what a picture shows: bars or lines.
type chart struct {
	title, x string
	names    []string // of the lines, or of the bars of one label
	bar      []bar
	line     [][]results.Point
}

// bar has a label's values, one for each name.
type bar struct {
	label  string
	values []float64
}

const (
	width, left, right = 720, 190, 60
	rowHeight          = 18
)

// style has colours with a contrast of 4.5 and more to a white and to a dark page.
const style = `<style>text{font:13px system-ui,sans-serif;fill:#24292f}.t{font-weight:600;font-size:15px}.g{stroke:#8c959f;stroke-width:1;opacity:.35}` +
	`.c0{fill:#0757ba;stroke:#0757ba}.c1{fill:#a04100;stroke:#a04100}.c2{fill:#116329;stroke:#116329}polyline{fill:none!important;stroke-width:2.5}text.c0,text.c1,text.c2{stroke:none}` +
	`@media(prefers-color-scheme:dark){text{fill:#e6edf3}.c0{fill:#6cb6ff;stroke:#6cb6ff}.c1{fill:#f0a35e;stroke:#f0a35e}.c2{fill:#6bc46d;stroke:#6bc46d}}</style>`

// picture begins an SVG of some height with its title, and ends it.
func picture(title string, height int, body string) string {
	title = html.EscapeString(title)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n%s\n"+`<text class="t" x="8" y="22">%s</text>`+"\n%s</svg>\n",
		width, height, title, style, title, body)
}

func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// bars draws a group of bars for each label.
func (c chart) bars() string {
	var most float64
	for _, b := range c.bar {
		most = max(most, slices.Max(b.values))
	}
	var out strings.Builder
	y := 40
	for i, name := range c.names {
		fmt.Fprintf(&out, `<rect class="c%d" x="%d" y="%d" width="12" height="12"/><text x="%d" y="%d">%s</text>`+"\n", i, left+i*140, y, left+18+i*140, y+11, html.EscapeString(name))
	}
	y += 28
	for _, b := range c.bar {
		fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-10, y+rowHeight*len(b.values)/2+4, html.EscapeString(b.label))
		for i, v := range b.values {
			w := v / most * (width - left - right)
			fmt.Fprintf(&out, `<rect class="c%d" x="%d" y="%d" width="%.1f" height="%d"/><text x="%.1f" y="%d">%s</text>`+"\n", i, left, y, w, rowHeight-4, left+w+6, y+12, number(v))
			y += rowHeight
		}
		y += 12
	}
	return picture(c.title, y, out.String())
}

// frame is where a chart's lines lie in its picture.
type frame struct{ x0, x1, most float64 }

const height, top, bottom, begin, end = 360, 44, 310, 60, width - 150

// at is where a point lies. x is logarithmic; y begins at 0.
func (f frame) at(p results.Point) (x, y float64) {
	share := 0.5
	if f.x1 > f.x0 {
		share = math.Log(p.X/f.x0) / math.Log(f.x1/f.x0)
	}
	return begin + share*(end-begin), bottom - p.Y/f.most*(bottom-top)
}

// round is the next round number from v on: 1, 2, 2.5 or 5, and zeros.
func round(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, times := range []float64{1, 2, 2.5, 5} {
		if times*unit >= v {
			return times * unit
		}
	}
	return 10 * unit
}

// lines draws a line for each name, and the name at its end.
func (c chart) lines() string {
	f := frame{x0: math.Inf(1)}
	var ticks []float64
	for _, p := range slices.Concat(c.line...) {
		f = frame{min(f.x0, p.X), max(f.x1, p.X), max(f.most, p.Y)}
		ticks = append(ticks, p.X)
	}
	step := round(f.most / 4)
	f.most = 4 * step
	var out strings.Builder
	for i := range 5 {
		v := step * float64(i)
		_, y := f.at(results.Point{X: f.x0, Y: v})
		fmt.Fprintf(&out, `<line class="g" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", begin, y, end, y, begin-8, y+4, number(v))
	}
	slices.Sort(ticks)
	for _, v := range slices.Compact(ticks) {
		x, _ := f.at(results.Point{X: v})
		fmt.Fprintf(&out, `<text x="%.1f" y="%d" text-anchor="middle">%.0f</text>`+"\n", x, bottom+20, v)
	}
	fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (begin+end)/2, bottom+42, html.EscapeString(c.x))
	var ends []results.Point // Y is a line's end in the picture, X its number
	for i, l := range c.line {
		var points []string
		var x, y float64
		for _, p := range l {
			x, y = f.at(p)
			points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
			fmt.Fprintf(&out, `<circle class="c%d" cx="%.1f" cy="%.1f" r="3.5"/>`, i, x, y)
		}
		fmt.Fprintf(&out, "\n"+`<polyline class="c%d" points="%s"/>`+"\n", i, strings.Join(points, " "))
		ends = append(ends, results.Point{X: float64(i), Y: y})
	}
	slices.SortFunc(ends, func(a, b results.Point) int { return cmp.Compare(a.Y, b.Y) })
	labelled := 0.0
	for _, e := range ends {
		labelled = max(e.Y+4, labelled+16) // labels do not lie on each other
		fmt.Fprintf(&out, `<text class="c%d" x="%d" y="%.1f">%s</text>`+"\n", int(e.X), end+10, labelled, html.EscapeString(c.names[int(e.X)]))
	}
	return picture(c.title, height, out.String())
}
