package pool

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// isWorker reports whether a process is the worker of this folder: it must belong to this user, and
// its arguments must have the same Argv[1] and the name of the folder. A worker that was taken over
// may change its arguments, but it gains nothing from that.
func isWorker(pid int, argv []string, dir string) bool {
	if uid, err := userOf(pid); err != nil || uid != os.Geteuid() {
		return false
	}
	line, err := readSome(fmt.Sprintf("/proc/%d/cmdline", pid), 1<<20)
	if err != nil {
		return false
	}
	args := strings.Split(strings.TrimSuffix(line, "\x00"), "\x00")
	if len(argv) > 1 && (len(args) < 2 || args[1] != argv[1]) {
		return false
	}
	// The agent may now use another path for the same data directory.
	return slices.ContainsFunc(args, func(arg string) bool {
		of, ok := strings.CutPrefix(arg, wire.DirFlag)
		return ok && filepath.Base(of) == filepath.Base(dir)
	})
}

// userOf is the effective user of a process. The owner of /proc/PID may be another: it is root for
// a process whose memory is protected.
func userOf(pid int) (int, error) {
	text, err := readSome(fmt.Sprintf("/proc/%d/status", pid), 64<<10)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if ids, ok := strings.CutPrefix(line, "Uid:"); ok {
			if fields := strings.Fields(ids); len(fields) == 4 {
				return strconv.Atoi(fields[1])
			}
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no user", pid)
}

func readSome(path string, most int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(file, most))
	return string(text), err
}

// lockerOf is the process that holds the lock (flock) of an open folder, from the kernel's list. It
// is 0 if this is not known, because for some file systems the kernel lists other numbers than
// their files have.
func lockerOf(folder *os.File) (int, error) {
	var info unix.Stat_t
	if err := unix.Fstat(int(folder.Fd()), &info); err != nil {
		return 0, err
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(info.Dev), unix.Minor(info.Dev), info.Ino)
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0, err
	}
	defer locks.Close() //nolint:errcheck // it was only read
	lines := bufio.NewScanner(locks)
	for lines.Scan() {
		// The line is NUMBER: FLOCK ADVISORY WRITE PID DEVICE:INODE 0 EOF. For a process that
		// waits, an arrow follows the number.
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" || fields[5] != file {
			continue
		}
		if pid, err := strconv.Atoi(fields[4]); err == nil && pid > 0 {
			return pid, nil
		}
	}
	return 0, lines.Err()
}
