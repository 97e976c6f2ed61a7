package confine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Config says what a worker must not reach. Paths are absolute, and need not exist yet. If a file
// is below several paths, the longest of them decides. If a path is named several times, the
// strictest access does.
type Config struct {
	Hidden   []string // contents cannot be read or written: credentials, other workers' folders
	ReadOnly []string // contents can be read: compiled code, the system's own folders
	Writable []string // exceptions within those

	// Rest is the access of every other path. Writable, the zero value, suits workers whose pods
	// may name any path of the node.
	Rest Access

	// OpenFiles is the limit of open files. 0 is the hard limit. A number above that is the hard
	// limit too, if the worker may not raise it.
	OpenFiles uint64
}

// SystemFolders are the folders of a Linux system from which programs are run or configured. If
// they are ReadOnly, a worker of root's cannot leave a file there that another process executes.
// Guests with a writable hostPath below them fail.
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
// lost is what the kernel refused, one phrase each, for a log; nil if it refused nothing.
func Apply(cfg Config) (lost []string, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	lose := func(part string, err error) {
		if err != nil {
			lost = append(lost, fmt.Sprintf("%s: %v", part, err))
		}
	}
	// Limits come first: to raise them needs a capability. Landlock and the filter need
	// no_new_privs. The filter comes last: it refuses the calls that the others make.
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

// HideSelf keeps other processes of the user from reading the memory of this one, its environment
// and its open files; root with CAP_SYS_PTRACE still can. Unless the process is root, it cannot
// read some of its own files in /proc any more: mem, environ, io and others with mode 0400 or 0600.
// exe, fd, maps, stat, status and task stay as they are. A program that it executes starts without
// this protection, and must call HideSelf itself.
func HideSelf() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("making the process undumpable: %w", err)
	}
	return nil
}

// threadsKnown is called before psx, which kills a process whose threads it cannot list.
func threadsKnown() error {
	_, err := os.ReadDir("/proc/self/task")
	return err
}

// onAllThreads makes a system call on every thread. Go's own function for that refuses a program
// with cgo.
func onAllThreads(call, a, b uintptr) error {
	if _, _, errno := psx.Syscall6(call, a, b, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
