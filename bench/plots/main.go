// Command plots draws what bench-peers and bench have measured, as SVG for a light or a
// dark page.
//
//	go run ./bench/plots   # make plots
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"countersign/bench/results"
)

func main() {
	from := flag.String("from", "bench/results", "folder of the results")
	to := flag.String("to", "docs/images", "folder for the pictures")
	flag.Parse()
	if err := draw(*from, *to); err != nil {
		fmt.Fprintln(os.Stderr, "plots:", err)
		os.Exit(1)
	}
}

func draw(from, to string) error {
	runs, err := results.Read[results.Run](filepath.Join(from, "peers.jsonl"))
	if err != nil {
		return fmt.Errorf("the runs of make bench-peers: %w", err)
	}
	figures, err := results.Read[results.Figure](filepath.Join(from, "go.jsonl"))
	if err != nil {
		return fmt.Errorf("the figures of make bench: %w", err)
	}
	for _, p := range []struct{ name, svg string }{
		{"plot-cpu", cpu(runs).bars()},
		{"plot-pool", pool(runs).lines()},
		{"plot-growth", growth(figures).lines()},
	} {
		if err := os.WriteFile(filepath.Join(to, p.name+".svg"), []byte(p.svg), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// labels name the systems, in the order of the bars.
var labels = []struct{ system, label string }{
	{"countersign", "Countersign"},
	{"naive", "naive loop"},
	{"watermill", "Watermill"},
	{"river-sqlite", "River, SQLite"},
	{"river-pg", "River, PostgreSQL"},
	{"naive-plain", "naive loop, 1 kB emails"},
	{"watermill-plain", "Watermill, 1 kB emails"},
}

func cpu(runs []results.Run) chart {
	c := chart{title: "CPU of the service, milliseconds a document", names: []string{"under load", "at 5 documents a second"}}
	for _, l := range labels {
		var b bar
		for _, mode := range []string{"throughput", "latency"} {
			b.values = append(b.values, results.Median(results.Of(runs, mode, l.system, func(h results.Harness) float64 { return h.ServiceCPU })))
		}
		if b.label = l.label; b.values[0]+b.values[1] > 0 {
			c.bar = append(c.bar, b)
		}
	}
	return c
}

func pool(runs []results.Run) chart {
	c := chart{title: "Emails a second, by connections and the relay's time for an email", x: "connections (mail-pool)"}
	for _, p := range results.Pools(runs) {
		c.names = append(c.names, fmt.Sprint(p.Delay, " ms"))
		c.line = append(c.line, p.Points)
	}
	return c
}

func growth(figures []results.Figure) chart {
	c := chart{title: "CPU of the fold, microseconds an entry, by finished documents in the store", x: "documents", names: []string{"fold of whole lives"}}
	var points []results.Point
	for _, f := range figures {
		if n, ok := strings.CutPrefix(f.Name, "Apply_Growth/"); ok && f.Unit == "cpu-µs/entry" {
			if documents, err := strconv.Atoi(n); err == nil {
				points = append(points, results.Point{X: float64(documents), Y: f.Value})
			}
		}
	}
	c.line = append(c.line, points)
	return c
}
