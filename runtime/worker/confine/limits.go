package confine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// limitFiles sets how many files may be open; 0 means as many as possible.
func limitFiles(files uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		return err
	}
	if files == 0 {
		return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: now.Max, Max: now.Max})
	}
	err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files})
	if errors.Is(err, unix.EPERM) && files > now.Max {
		return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: now.Max, Max: now.Max})
	}
	if err != nil {
		return fmt.Errorf("setting the limit of open files: %w", err)
	}
	return nil
}

// oomScore is a worker's oom_score_adj (man 5 proc_pid_oom_score_adj), in thousandths of the
// machine's memory. With it the kernel kills a worker of any size before the agent, and larger
// workers before smaller ones.
const oomScore = 500

// offerToOOM makes the kernel kill this process before the agent and others when there is too
// little memory. It does not change a higher score.
func offerToOOM() error {
	const path = "/proc/self/oom_score_adj"
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if now, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && now >= oomScore {
		return nil
	}
	return write(path, strconv.Itoa(oomScore))
}

// keepPriority allows threads with a higher nice value to return to the process's current nice
// value. It returns the capabilities that must be kept for this: if the process may not raise its
// limit, it needs a capability.
func keepPriority() ([]cap.Value, error) {
	err := limitNice()
	if err == nil {
		return useful, nil
	}
	if may, known := cap.GetProc().GetFlag(cap.Effective, cap.SYS_NICE); known == nil && may {
		return append(slices.Clone(useful), cap.SYS_NICE), nil
	}
	return useful, fmt.Errorf("threads that made themselves nicer cannot take it back: %w", err)
}

func limitNice() error {
	// The result of the kernel, 20 - nice, has the same scale as RLIMIT_NICE.
	lowest, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return err
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NICE, &now); err != nil {
		return err
	}
	want := uint64(lowest)
	return unix.Setrlimit(unix.RLIMIT_NICE, &unix.Rlimit{Cur: want, Max: max(want, now.Max)})
}
