package processor

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// GuestNice is by how much nicer than the agent's the threads of guests are, and those that compile
// modules (man 7 sched, "The nice value"). The scheduler's weights make a third of the share of 5.
const GuestNice = 5

// maxNice is the kernel's largest nice value, which stands for the lowest priority.
const maxNice = 19

// Priority is the nice value that a process was started with.
type Priority int

// Current returns the priority of the calling thread. A thread that has lowered its own returns
// that.
func Current() (Priority, error) {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // the kernel answers 20-value, never negative
	return Priority(20 - n), err
}

// Lower makes a thread of the process, 0 for the calling one, nicer than the process by that much.
// On Linux, unlike in POSIX, each thread has a value of its own. To take it back needs a privilege
// (CAP_SYS_NICE).
func (p Priority) Lower(thread, by int) error {
	return unix.Setpriority(unix.PRIO_PROCESS, thread, min(int(p)+by, maxNice))
}

// Restore gives a thread the priority of the process, where the process has the privilege to do so.
func (p Priority) Restore(thread int) error {
	return unix.Setpriority(unix.PRIO_PROCESS, thread, int(p))
}

// runnable reports whether a thread of this process runs or waits for a processor, and for nothing
// else.
func runnable(thread int) bool {
	stat, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(thread) + "/stat")
	if err != nil {
		return false // the thread has ended
	}
	// NUMBER (NAME) STATE …, and the name may have any character.
	i := bytes.LastIndexByte(stat, ')')
	return i >= 0 && i+2 < len(stat) && stat[i+2] == 'R'
}
