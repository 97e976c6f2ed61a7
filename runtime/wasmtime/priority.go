package wasmtime

import (
	"bytes"
	"os"
	"strconv"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// guestNice is by how much the threads of guests, and those that compile modules, stand behind the agent's (man 7 sched, "The nice
// value"). The scheduler's weights make of 5 a third of the share.
const guestNice = 5

// setNice makes a thread, 0 for the calling one, nicer by n than the process was started. On Linux, unlike in POSIX, the value is
// a thread's. To take it back needs a privilege (CAP_SYS_NICE).
func setNice(thread, base, n int) error {
	return unix.Setpriority(unix.PRIO_PROCESS, thread, min(base+n, 19))
}

// nice is the calling thread's value.
func nice() (int, error) {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // the kernel answers 20-value, which is never negative
	return 20 - n, err
}

// stepBack puts the calling thread, a guest's from now on, behind the agent's.
func (e *Engine) stepBack() {
	if err := setNice(0, e.nice, guestNice); err != nil {
		e.cfg.Log.Warn("a guest's thread keeps the priority of the agent", zap.Error(err))
	}
}

// hurry gives the thread of a guest that is killed the agent's priority, so that it ends in time. Without the
// privilege to do so it ends when its turn comes.
func (e *Engine) hurry(thread int) { _ = unix.Setpriority(unix.PRIO_PROCESS, thread, e.nice) }

// runnable says whether a thread of this process runs or waits for a processor, and not for anything else.
func runnable(thread int) bool {
	stat, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(thread) + "/stat")
	if err != nil {
		return false // it has ended
	}
	// NUMBER (NAME) STATE …, and the name may hold anything.
	i := bytes.LastIndexByte(stat, ')')
	return i >= 0 && i+2 < len(stat) && stat[i+2] == 'R'
}
