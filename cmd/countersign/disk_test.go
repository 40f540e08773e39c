package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"countersign/internal/catcher"
	"countersign/internal/test/eventstest"
)

// alone runs the test that calls it once more, in a process with mounts of its
// own, and reports whether this is that process. The one outside only tells
// how it went.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv("ALONE") != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "ALONE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 { // a user who is root in a namespace of their own
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) && os.Getenv("CI") == "" { // in CI nothing is skipped
		t.Skip("this machine lets nobody mount a file system")
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "_test.go:") {
			t.Log(strings.TrimSpace(line))
		}
	}
	return false
}

// smallDisk mounts an empty disk of a size such as "8m".
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill leaves no room on a disk, until the returned function is called.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// TestServe_FullDatabaseDiskEndsItAndLosesNothing: the worker says so and ends; with room again it
// goes on, and nothing is lost.
func TestServe_FullDatabaseDiskEndsItAndLosesNothing(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	x := newTown(t)
	w := newWork(x)
	dir := smallDisk(t, "8m")
	a := x.process(x.quick(dir))
	w.publish(5)
	w.comesToRest(dir)
	free := fill(t, dir)
	w.publish(15)
	a.dies()
	if code := a.cmd.ProcessState.ExitCode(); code != exitFailure || !a.said("the disk is full; free space and start again") || !a.said(dir) {
		t.Errorf("exit code %d; it does not name the disk: %s", code, a.log)
	}
	again := x.launch(x.quick(dir))
	again.dies()
	if code := again.cmd.ProcessState.ExitCode(); code != exitFailure {
		t.Errorf("started on a full disk: exit code %d", code)
	}
	free()
	a = x.process(x.quick(dir))
	w.settle(inFlight, dir)
	a.kill()
}

// TestServe_FullNATSDiskLosesNothing: publishes are not acknowledged, and the worker says
// where to look. With room again the NATS server has to be restarted; then
// everything goes on, and nothing is lost.
func TestServe_FullNATSDiskLosesNothing(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	broker := startServers(t, 1)
	broker.up[0].kill()
	broker.options[0].Dir = smallDisk(t, "24m")
	broker.start(0)
	x := townAt(t, broker)
	w := newWork(x)
	held, release, later := make(chan bool, 100), make(chan bool), catcher.ByRecipient()
	x.box.Script(func(s catcher.Step) error {
		select {
		case <-release:
			return later(s)
		default:
		}
		if s.Phase == catcher.Data {
			held <- true
			<-release
		}
		return nil
	})
	dir := t.TempDir()
	a := x.process(x.env(dir))
	w.publish(6)
	for range 6 { // are in flight; their outcomes need room on the log
		<-held
	}
	free := fill(t, broker.options[0].Dir)
	close(release)
	published := make(chan bool)
	go func() { w.publish(6); close(published) }()
	a.says("the log does not answer; is the server up, and is there room on its disk?")
	free()
	broker.up[0].kill()
	broker.start(0)
	<-published
	w.settle(8, dir)
	a.kill()
}

// TestServe_ReadOnlyDiskIsNamed: a worker cannot start there, and says why.
func TestServe_ReadOnlyDiskIsNamed(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	x := newTown(t)
	dir := smallDisk(t, "8m")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	a := x.launch(x.quick(dir))
	a.dies()
	if code := a.cmd.ProcessState.ExitCode(); code != exitFailure || !a.said("read-only file system") || !a.said(dir) {
		t.Errorf("exit code %d: %s", code, a.log)
	}
}

// plugged is a disk that can lose power. It is nil where this machine has no
// loop devices for us.
func plugged(t *testing.T) (dir string, cut func()) {
	t.Helper()
	image, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(96 << 20); err != nil {
		t.Fatal(err)
	}
	mount := func() error {
		out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput()
		if err != nil {
			t.Logf("%v: %s", err, out)
		}
		return err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", image).CombinedOutput(); err != nil || mount() != nil {
		t.Logf("no loop-mounted ext4 here: %v %s", err, out)
		return "", nil
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	return dir, func() {
		t.Helper()
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Fatal(err)
		}
		if err := mount(); err != nil {
			t.Fatal(err)
		}
	}
}

// unplug has an ext4 file system forget whatever is not on the disk, as
// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH does.
func unplug(t *testing.T, dir string) {
	t.Helper()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const shutdown, noLogFlush = 0x8004587d, 2
	flags := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, d.Fd(), shutdown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		t.Fatal(errno)
	}
}

// TestServe_PowerCutLosesNothingAcknowledged takes the power from broker and worker together, in the middle
// of their work. The broker syncs always: whatever it acknowledged is there.
func TestServe_PowerCutLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	disk, reboot := plugged(t)
	if reboot == nil {
		return // events.TestLogFollow_LogThatLostItsTail… restores an older store instead
	}
	broker := startServers(t, 1)
	broker.up[0].kill()
	broker.options[0].Dir = filepath.Join(disk, "nats")
	broker.start(0)
	x := townAt(t, broker)
	w := newWork(x)
	dir := filepath.Join(disk, "worker")
	faults := 3
	for range faults {
		a := x.process(x.quick(dir))
		w.publish(10)
		unplug(t, disk)
		a.kill()
		broker.up[0].kill()
		reboot()
		broker.start(0)
	}
	a := x.process(x.quick(dir))
	w.publish(1)
	w.settle(faults*inFlight, dir)
	a.kill()
	broker.up[0].kill()
}

// TestServe_FailingDiskIsNamedAndEndsIt: every read and write of the database's disk is an I/O
// error. The worker does not trust what the kernel still holds: it says where it
// is, and ends. With the disk back it goes on from what is on it.
func TestServe_FailingDiskIsNamedAndEndsIt(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	disk, reboot := plugged(t)
	if reboot == nil {
		return
	}
	x := newTown(t)
	w := newWork(x)
	dir := filepath.Join(disk, "worker")
	faults := 2
	for range faults {
		a := x.process(x.quick(dir))
		w.publish(5)
		unplug(t, disk)
		w.publish(5)
		if code := a.dies(); code != exitFailure || !a.said(dir) || !a.said("input/output error") && !a.said("disk I/O error") {
			t.Errorf("exit code %d; it does not name the disk: %s", code, a.log)
		}
		reboot()
	}
	a := x.process(x.quick(dir))
	w.settle(faults*inFlight, dir)
	a.kill()
}

// TestServe_ContinuesAfterUnsyncedNATSLosesEntries: what NATS acknowledged by default is
// not all there. The worker, whose disk has not lost it, says so, and takes up
// again from the newest entry in common.
func TestServe_ContinuesAfterUnsyncedNATSLosesEntries(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	disk, reboot := plugged(t)
	if reboot == nil {
		return
	}
	broker := startServers(t, 1)
	broker.up[0].kill()
	broker.options[0].Dir, broker.options[0].Unsynced = filepath.Join(disk, "nats"), true
	broker.start(0)
	x := townAt(t, broker)
	w := newWork(x)
	dir := t.TempDir()
	a := x.process(x.quick(dir))
	w.publish(5)
	w.comesToRest(dir)
	syscall.Sync()
	w.publish(20)
	w.comesToRest(dir)
	before := x.tail()
	unplug(t, disk)
	broker.up[0].kill()
	reboot()
	broker.start(0)
	a.says("the log does not hold what the database has applied; looking for the newest entry in common")
	eventstest.WaitFor(t, patience, "the connection", x.nc.IsConnected)
	if after := x.tail(); after >= before {
		t.Errorf("the log ends at %d, as before: nothing was lost, and the test shows nothing", after)
	}
	x.create(1000, 1, "signer-%d@example.com")
	eventstest.WaitFor(t, patience, "the next document to be mailed", func() bool {
		s := openStore(t, dir)
		defer s.Close()
		d, err := s.Document(t.Context(), testPX(1000))
		return err == nil && d.Status == "signing"
	})
	a.kill()
	broker.up[0].kill()
}
