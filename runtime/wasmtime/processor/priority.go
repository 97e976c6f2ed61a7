package processor

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// GuestNice is the difference between the nice value of the agent and that of the threads of guests
// and of compilers (man 7 sched, "The nice value"). With the scheduler's weights, 5 means a third
// of the share.
const GuestNice = 5

// maxNice is the kernel's largest nice value. It means the lowest priority.
const maxNice = 19

// Priority is the nice value with which a process was started.
type Priority int

// Current returns the priority of the calling thread. If this thread has lowered its priority, the
// result is the lower one.
func Current() (Priority, error) {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // the kernel returns 20-value, which is never negative
	return Priority(20 - n), err
}

// Lower sets the nice value of a thread to that of the process plus by; thread 0 is the calling
// one. On Linux, unlike in POSIX, each thread has its own value. To revert this, a privilege is
// necessary (CAP_SYS_NICE).
func (p Priority) Lower(thread, by int) error {
	return unix.Setpriority(unix.PRIO_PROCESS, thread, min(int(p)+by, maxNice))
}

// Restore gives a thread the priority of the process, if the process has the privilege for it.
func (p Priority) Restore(thread int) error {
	return unix.Setpriority(unix.PRIO_PROCESS, thread, int(p))
}

// runnable reports whether a thread of this process runs or waits only for a processor.
func runnable(thread int) bool {
	stat, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(thread) + "/stat")
	if err != nil {
		return false // the thread has ended
	}
	// The content is NUMBER (NAME) STATE …, and the name may have any character.
	i := bytes.LastIndexByte(stat, ')')
	return i >= 0 && i+2 < len(stat) && stat[i+2] == 'R'
}
