// Package ownprocess runs tests in a separate process. The process may have its own limits and
// namespaces.
package ownprocess

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside is an environment variable. It names the test to which the process belongs.
const inside = "KRUSTLET_TEST_OWN_PROCESS"

// Enter reports whether this is the process in which the test must do its work. That process has
// its own namespaces, those of the flags (CLONE_NEWNET). In the first process, Enter runs that
// process, reports its failure as the test's, and returns false. A test calls it first, and must
// not be a subtest. For an ordinary user, the process has privileges only over its own namespaces.
func Enter(t *testing.T, namespaces uintptr) bool {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		if namespaces&syscall.CLONE_NEWNS != 0 {
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				t.Fatal(err)
			}
		}
		return true
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.count", "1")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if id := os.Getuid(); id != 0 && namespaces != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return false
}

// LimitFiles limits the open files of this process.
func LimitFiles(t *testing.T, n uint64) {
	t.Helper()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
		t.Fatal(err)
	}
}
