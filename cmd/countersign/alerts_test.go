package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/private"
	"countersign/internal/test/eventstest"
)

// promtool evaluates alert rules; make tools puts it there.
func promtool(t *testing.T, args ...string) (out string, ok bool) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		program = filepath.Join("..", "..", "tools", "bin", "promtool")
		if !private.Exists(program) {
			t.Fatalf("there is no %s: run make tools", program)
		}
	}
	said, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	return string(said), err == nil
}

// alertsFile is what docs/operations.md has an operator load.
func alertsFile(t *testing.T) string {
	t.Helper()
	file, err := filepath.Abs("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

var sample = regexp.MustCompile(`(?m)^(countersign_\w+|process_start_time_seconds)(?:\{(.*)\})? (\S+)$`)

// series are metrics as Prometheus would have them of a worker that shows the same
// for a minute. No metrics are those of one that does not answer.
func series(t *testing.T, metrics string) (out []map[string]string) {
	t.Helper()
	labels := `job="countersign",instance="worker"`
	up := "0"
	for _, m := range sample.FindAllStringSubmatch(metrics, -1) {
		up = "1"
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		of := labels
		if m[2] != "" {
			of += "," + m[2]
		}
		out = append(out, map[string]string{"series": m[1] + "{" + of + "}", "values": strconv.FormatFloat(value, 'f', -1, 64) + "+0x4"})
	}
	return append(out, map[string]string{"series": "up{" + labels + "}", "values": up + "+0x4"})
}

// firing lists the alerts that fire after a minute of such metrics. promtool says
// what differs from what is expected of it, which is none.
func firing(t *testing.T, metrics string) (names []string) {
	t.Helper()
	rules, err := json.Marshal(map[string]any{ // YAML 1.2 holds JSON
		"rule_files": []string{alertsFile(t)}, "evaluation_interval": "15s",
		"tests": []any{map[string]any{
			"interval": "15s", "input_series": series(t, metrics),
			"promql_expr_test": []any{map[string]any{"expr": `count by (alertname) (ALERTS{alertstate="firing"})`, "eval_time": "1m"}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tests.yaml")
	if err := os.WriteFile(file, rules, 0o600); err != nil {
		t.Fatal(err)
	}
	out, ok := promtool(t, "test", "rules", file)
	if ok {
		return nil
	}
	for _, m := range regexp.MustCompile(`alertname="(\w+)"`).FindAllStringSubmatch(out, -1) {
		names = append(names, m[1])
	}
	if names == nil {
		t.Fatalf("promtool: %s", out)
	}
	return names
}

// alerts waits until an alert fires on the metrics of a worker, looking as often
// as Prometheus would look at many. It returns all that fire then.
func alerts(t *testing.T, admin, name string) (names []string) {
	t.Helper()
	look := time.NewTicker(2 * time.Second)
	defer look.Stop()
	eventstest.WaitFor(t, time.Minute, "the alert "+name, func() bool {
		select {
		case <-look.C:
			_, metrics := get(t, admin+"/metrics")
			names = firing(t, metrics)
		default:
		}
		return slices.Contains(names, name)
	})
	return names
}

// TestAlerts_RulesAreValid has promtool read the rules, and compares their metrics
// with those that there are. A worker that does well fires none, one that is gone
// fires one.
func TestAlerts_RulesAreValid(t *testing.T) {
	t.Parallel()
	if out, ok := promtool(t, "check", "rules", alertsFile(t)); !ok {
		t.Error(out)
	}
	x, dir := newTown(t), t.TempDir()
	w := start(t, x.env(dir))
	w.says("read to its end")
	x.create(1, 1, "signer-%d@example.com")
	x.rest(dir)
	admin := "http://" + w.address("admin")
	eventstest.Wait(t, "the worker to be ready", func() bool { code, _ := get(t, admin+"/readyz"); return code == 200 })
	_, metrics := get(t, admin+"/metrics")
	rules, err := os.ReadFile(alertsFile(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`(?m)^ +expr:.*`).FindAllString(string(rules), -1) {
		for _, metric := range regexp.MustCompile(`countersign_\w+(?:\{check="\w+"\})?`).FindAllString(name, -1) {
			if !strings.Contains(metrics, "\n"+metric) {
				t.Errorf("there is no metric %s", metric)
			}
		}
	}
	if names := firing(t, metrics); names != nil {
		t.Errorf("nothing is wrong, and these fire: %v", names)
	}
	if names := fmt.Sprint(firing(t, "")); names != "[CountersignDown]" {
		t.Errorf("the worker is gone, and these fire: %v", names)
	}
	w.end()
}
