package confine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Config says what a worker must not access. Paths are absolute, and need not exist yet. If a file
// is below several paths, the longest path decides. If a path is named several times, the strictest
// access counts.
type Config struct {
	Hidden   []string // the contents cannot be read or written: credentials, other workers' folders
	ReadOnly []string // the contents can be read: compiled code, the system's own folders
	Writable []string // exceptions inside those

	// Rest is the access for every other path. The zero value, Writable, is for workers whose pods
	// may name any path of the node.
	Rest Access

	// OpenFiles is the limit of open files. 0 means the hard limit. If a number is above the hard
	// limit and the worker may not raise that, the hard limit is used.
	OpenFiles uint64
}

// SystemFolders are the folders of a Linux system from which programs are run or configured. If
// they are ReadOnly, a worker of root cannot leave a file there that another process executes.
// Guests with a writable hostPath below these folders fail.
func SystemFolders() []string {
	return []string{"/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/opt", "/sbin", "/usr", "/var/spool/cron"}
}

func (c *Config) check() error {
	for _, path := range slices.Concat(c.Hidden, c.ReadOnly, c.Writable) {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("confine: %q is not an absolute path", path)
		}
	}
	if c.Rest > Hidden {
		return fmt.Errorf("confine: no such access: %d", c.Rest)
	}
	return nil
}

// Apply takes from all threads of this process what a worker does not need. It cannot be undone.
// lost names what the kernel refused, one phrase each, for a log; it is nil if the kernel refused
// nothing.
func Apply(cfg Config) (lost []string, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	lose := func(part string, err error) {
		if err != nil {
			lost = append(lost, fmt.Sprintf("%s: %v", part, err))
		}
	}
	// Limits come first, because raising them needs a capability. Landlock and the filter need
	// no_new_privs. The filter comes last, because it forbids the calls that the other steps make.
	lose("limits", unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}))
	lose("limits", limitFiles(cfg.OpenFiles))
	lose("limits", offerToOOM())
	kept, err := keepPriority()
	lose("limits", err)
	lose("memory hidden from processes of the same user", HideSelf())
	if err := threadsKnown(); err != nil {
		lose("capabilities, files and system calls", err)
		return lost, nil
	}
	lose("no new privileges", onAllThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1))
	lose("files", restrict(&cfg))
	lose("capabilities", dropCapabilities(kept))
	lose("system calls", loadFilter(os.Getpid()))
	return lost, nil
}

// HideSelf stops other processes of the user from reading this process's memory, environment and
// open files; root with CAP_SYS_PTRACE still can. Unless the process is root, it can no longer read
// some of its own files in /proc: mem, environ, io and others with mode 0400 or 0600. exe, fd,
// maps, stat, status and task do not change. A program that it executes starts without this
// protection, and must call HideSelf itself.
func HideSelf() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("making the process undumpable: %w", err)
	}
	return nil
}

// threadsKnown is called before psx, because psx kills a process whose threads it cannot list.
func threadsKnown() error {
	_, err := os.ReadDir("/proc/self/task")
	return err
}

// onAllThreads makes a system call on every thread. Go's own function for this does not work in a
// program with cgo.
func onAllThreads(call, a, b uintptr) error {
	if _, _, errno := psx.Syscall6(call, a, b, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
