package pool

import (
	"fmt"
	"syscall"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// ending is how a process exited. The zero value means that this is not known.
type ending struct {
	known   bool
	signal  syscall.Signal // 0 if it was not killed by a signal
	code    int
	crash   string // Go's description of a crash
	starved bool   // the kernel has killed it because of too little memory
}

func endingOf(status syscall.WaitStatus) ending {
	if status.Signaled() {
		return ending{known: true, signal: status.Signal()}
	}
	return ending{known: true, code: status.ExitStatus()}
}

func (e ending) String() string {
	switch {
	case e.starved:
		return "signal: " + e.signal.String() + ", by the kernel for want of memory"
	case e.signal != 0:
		return "signal: " + e.signal.String()
	case e.crash != "":
		return e.crash
	case e.known:
		return fmt.Sprintf("exit status %d", e.code)
	}
	return "not known how"
}

// exitCode is the exit code for the guests of the process.
func (e ending) exitCode() int32 {
	if e.signal != 0 {
		return 128 + int32(e.signal)
	}
	return 128 + int32(syscall.SIGKILL)
}

// exitError is the exit of a worker, as an error for its guests.
type exitError struct {
	pid int
	how ending
}

func (e *exitError) Error() string {
	name := fmt.Sprintf("the worker process %d that hosted the container", e.pid)
	switch {
	case e.how.signal != 0:
		return fmt.Sprintf("%s was killed (%s)", name, e.how)
	case e.how.crash != "":
		return fmt.Sprintf("%s crashed (%s)", name, e.how)
	case e.how.known:
		return fmt.Sprintf("%s exited (%s)", name, e.how)
	}
	return name + " has exited"
}

// exit is the exit of one of the worker's guests.
func (e *exitError) exit(g *guest) runtime.Exit { return g.killed(e.how.exitCode(), e.Error()) }
