package main

import (
	"bufio"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// unit reads deploy/systemd/countersign.service: the values of each key under
// [Service].
func unit(t *testing.T) map[string][]string {
	t.Helper()
	f, err := os.Open("../../deploy/systemd/countersign.service")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, section := map[string][]string{}, ""
	for s := bufio.NewScanner(f); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if strings.HasPrefix(line, "[") {
			section = line
		}
		if key, value, ok := strings.Cut(line, "="); ok && section == "[Service]" && !strings.HasPrefix(line, "#") {
			out[key] = append(out[key], value)
		}
	}
	return out
}

func TestDeploySystemd_ServiceIsConfined(t *testing.T) {
	got := unit(t)
	for key, want := range map[string]string{
		"UMask": "0077", "LimitCORE": "0", "StateDirectoryMode": "0700", "SystemCallFilter": "@system-service", "CapabilityBoundingSet": "",
		"NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes", "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
		"MemoryDenyWriteExecute": "yes", "SystemCallArchitectures": "native", "User": "countersign",
	} {
		if len(got[key]) != 1 || got[key][0] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
}

// TestDeploySystemd_RestartsPanicsAndNotWrongSettings: a panic ends the program by
// SIGABRT, which is a failure for systemd, and wrong settings with exitUsage.
func TestDeploySystemd_RestartsPanicsAndNotWrongSettings(t *testing.T) {
	got := unit(t)
	if restart := strings.Join(got["Restart"], " "); restart != "on-failure" {
		t.Errorf("Restart is %q", restart)
	}
	if prevent := strings.Join(got["RestartPreventExitStatus"], " "); prevent != strconv.Itoa(exitUsage) {
		t.Errorf("RestartPreventExitStatus is %q", prevent)
	}
	for name, tt := range map[string]struct {
		env  []string
		args []string
	}{
		"nothing is set":    {nil, []string{"serve"}},
		"an unknown flag":   {nil, []string{"serve", "--tea"}},
		"an argument":       {nil, []string{"serve", "tea"}},
		"an unknown name":   {[]string{"COUNTERSIGN_TEA=1"}, []string{"serve"}},
		"a file that lacks": {[]string{"COUNTERSIGN_CONFIG=/nowhere"}, []string{"serve"}},
	} {
		t.Run(name, func(t *testing.T) { do(t, tt.env, exitUsage, tt.args...) })
	}
}

// TestDeploySystemd_UnitIsValid asks systemd-analyze, on machines that have it.
func TestDeploySystemd_UnitIsValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("no systemd-analyze here: the other tests of the unit have to do")
		return
	}
	text, err := os.ReadFile("../../deploy/systemd/countersign.service")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable() // systemd looks whether the program is there
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "countersign.service")
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "/usr/local/bin/countersign", self, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestMakefile_BuildHardensTheBinary builds as make build does, and looks into the
// file.
func TestMakefile_BuildHardensTheBinary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "countersign")
	if out, err := exec.Command("make", "-s", "-C", "../..", "build", "BIN="+path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	has := func(tag elf.DynTag, flag uint64) bool {
		values, err := f.DynValue(tag)
		return err == nil && len(values) == 1 && values[0]&flag != 0
	}
	if f.Type != elf.ET_DYN || !has(elf.DT_FLAGS_1, uint64(elf.DF_1_PIE)) {
		t.Errorf("it is of type %s and not position-independent", f.Type)
	}
	if !has(elf.DT_FLAGS, uint64(elf.DF_BIND_NOW)) || !has(elf.DT_FLAGS_1, uint64(elf.DF_1_NOW)) {
		t.Error("its symbols are not bound at the start (BIND_NOW)")
	}
	relro := false
	for _, p := range f.Progs {
		relro = relro || p.Type == elf.PT_GNU_RELRO
		if p.Flags&elf.PF_W != 0 && p.Flags&elf.PF_X != 0 {
			t.Errorf("a segment of type %s can be written and executed", p.Type)
		}
	}
	if !relro {
		t.Error("no part of it becomes read-only after the start (RELRO)")
	}
}
