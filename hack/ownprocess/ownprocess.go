// Package ownprocess runs tests in a process of their own, which may have bounds and namespaces
// that nothing else has.
package ownprocess

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside, in the environment, names the test whose process this is.
const inside = "KRUSTLET_TEST_OWN_PROCESS"

// Enter says whether this is the process in which the test is to do its work: one with namespaces
// of its own, those of the flags (CLONE_NEWNET). If not, Enter has run that process, and reports
// its failure as the test's. It is the first call of a test that is no other's subtest. A process
// of an ordinary user has its privileges over those namespaces alone.
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

// LimitFiles bounds the descriptors of this process.
func LimitFiles(t *testing.T, n uint64) {
	t.Helper()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
		t.Fatal(err)
	}
}
