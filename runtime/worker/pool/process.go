package pool

import (
	"context"
	"errors"
	"fmt"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// handle is a process that is no child of this one, or need not be: a pidfd, which means one process for good.
type handle struct {
	pid   int
	began uint64 // as in Info.StartTime
	file  *os.File
}

// openProcess opens the process that began at that time.
func openProcess(pid int, began uint64) (*handle, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	h := &handle{pid: pid, began: began, file: os.NewFile(uintptr(fd), fmt.Sprintf("process %d", pid))}
	// Looked at after the pidfd was there: from now on it is that process or none.
	if now, err := wire.StartTime(pid); err != nil || now != began {
		h.close()
		return nil, fmt.Errorf("process %d is another one by now: %w", pid, errors.Join(err, os.ErrProcessDone))
	}
	return h, nil
}

func (h *handle) close() {
	_ = h.file.Close() // nothing was written
}

// kill ends the process now.
func (h *handle) kill() error {
	return h.control(func(fd int) error { return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) })
}

func (h *handle) control(f func(fd int) error) error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	return errors.Join(raw.Control(func(fd uintptr) { inner = f(int(fd)) }), inner)
}

// ended tells whether the process has ended.
func (h *handle) ended() bool {
	var now bool
	err := h.control(func(fd int) error {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(set, 0)
		now = n > 0
		return err
	})
	return err == nil && now
}

// wait waits for the end of the process. A child is reaped.
func (h *handle) wait(ctx context.Context) (ending, error) {
	stop := context.AfterFunc(ctx, func() { _ = h.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := h.poll(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return ending{}, fmt.Errorf("wait for process %d: %w", h.pid, err)
	}
	if status, ok := h.reap(); ok {
		return endingOf(status), nil
	}
	// It is somebody else's child, mostly init's. Until that one reaps it, /proc has its status; then its pidfd (Linux 6.15
	// and later).
	if status, err := h.zombie(); err == nil {
		return endingOf(status), nil
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	err := h.control(func(fd int) error { return unix.IoctlPidfdInfo(fd, &info) })
	if err != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return ending{}, nil
	}
	return endingOf(syscall.WaitStatus(info.Exit_code)), nil
}

// zombie is the status of a process that has ended and is not reaped.
func (h *handle) zombie() (syscall.WaitStatus, error) {
	fields, err := wire.StatFields(h.pid)
	if err != nil {
		return 0, err
	}
	if began, err := strconv.ParseUint(fields[wire.StatStart], 10, 64); err != nil || began != h.began || fields[wire.StatState] != "Z" {
		return 0, errors.Join(err, os.ErrProcessDone)
	}
	status, err := strconv.ParseUint(fields[wire.StatExit], 10, 32)
	return syscall.WaitStatus(status), err
}

// poll waits until the process has ended.
func (h *handle) poll() error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(set, 0)
		return err == nil && n > 0
	})
}

// reap takes the status of a child that has ended. It is not ok for another's child.
func (h *handle) reap() (status syscall.WaitStatus, ok bool) {
	err := h.control(func(fd int) error {
		return unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	})
	if err != nil {
		return 0, false
	}
	// It is a child, dead and not reaped, so the number is still its own.
	pid, err := syscall.Wait4(h.pid, &status, syscall.WNOHANG, nil)
	return status, err == nil && pid == h.pid
}

// ending is how a process ended. The zero value is not known.
type ending struct {
	known  bool
	signal syscall.Signal // 0 if it exited
	code   int
	crash  string // what Go says of a crash

	starved bool // the kernel killed it for want of memory
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

// exitCode is what the guests of the process get.
func (e ending) exitCode() int32 {
	if e.signal != 0 {
		return 128 + int32(e.signal)
	}
	return 128 + int32(syscall.SIGKILL)
}

// deathError is the end of a worker, for those that it hosted.
type deathError struct {
	pid int
	how ending
}

func (e *deathError) Error() string {
	name := fmt.Sprintf("the worker process %d that hosted the container", e.pid)
	switch {
	case e.how.signal != 0:
		return fmt.Sprintf("%s was killed (%s)", name, e.how)
	case e.how.crash != "":
		return fmt.Sprintf("%s crashed (%s)", name, e.how)
	case e.how.known:
		return fmt.Sprintf("%s ended (%s)", name, e.how)
	}
	return name + " has died"
}
