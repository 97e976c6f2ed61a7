package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// process is a process of the operating system. Its pidfd never means another process. It may be a
// child of this process or not.
type process struct {
	pid   int
	began uint64 // as wire.Info.StartTime
	file  *os.File
}

// openProcess opens the process with this number that started at this time.
func openProcess(pid int, began uint64) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("opening process %d: %w", pid, err)
	}
	p := &process{pid: pid, began: began, file: os.NewFile(uintptr(fd), fmt.Sprintf("process %d", pid))}
	// This is read after the pidfd was opened. So if it is equal, the pidfd is that process.
	if now, err := wire.StartTime(pid); err != nil || now != began {
		p.close()
		return nil, fmt.Errorf("process %d is another one by now: %w", pid, errors.Join(err, os.ErrProcessDone))
	}
	return p, nil
}

// openNow opens the process that has this number now.
func openNow(pid int) (*process, error) {
	began, err := wire.StartTime(pid)
	if err != nil {
		return nil, err
	}
	return openProcess(pid, began)
}

func (p *process) close() {
	_ = p.file.Close() // nothing was written
}

// kill kills the process, and does not wait for its exit.
func (p *process) kill() error {
	return p.control(func(fd int) error { return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) })
}

func (p *process) control(f func(fd int) error) error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	return errors.Join(raw.Control(func(fd uintptr) { inner = f(int(fd)) }), inner)
}

// exited reports whether the process has exited.
func (p *process) exited() bool {
	var now bool
	err := p.control(func(fd int) error {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(set, 0)
		now = n > 0
		return err
	})
	return err == nil && now
}

// wait waits until the process has exited. It reaps a child.
func (p *process) wait(ctx context.Context) (ending, error) {
	stop := context.AfterFunc(ctx, func() { _ = p.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := p.poll(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return ending{}, fmt.Errorf("waiting for process %d: %w", p.pid, err)
	}
	if status, ok := p.reap(); ok {
		return endingOf(status), nil
	}
	// It is the child of another process, usually of init. Until that process reaps it, /proc has
	// its status. After that the pidfd has the status, on Linux 6.15 and later.
	if status, err := p.zombie(); err == nil {
		return endingOf(status), nil
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	err := p.control(func(fd int) error { return unix.IoctlPidfdInfo(fd, &info) })
	if err != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return ending{}, nil
	}
	return endingOf(syscall.WaitStatus(info.Exit_code)), nil
}

// zombie is the status of a process that has exited but is not reaped.
func (p *process) zombie() (syscall.WaitStatus, error) {
	stat, err := wire.ReadStat(p.pid)
	if err != nil {
		return 0, err
	}
	if stat.StartTime != p.began || stat.State != "Z" {
		return 0, os.ErrProcessDone
	}
	return syscall.WaitStatus(stat.Status), nil
}

// poll waits until the process has exited.
func (p *process) poll() error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(set, 0)
		return err == nil && n > 0
	})
}

// reap takes the status of a child that has exited. ok is false for the child of another process.
func (p *process) reap() (status syscall.WaitStatus, ok bool) {
	err := p.control(func(fd int) error {
		return unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	})
	if err != nil {
		return 0, false
	}
	// It is a child that is not reaped, so no other process can have its number.
	pid, err := syscall.Wait4(p.pid, &status, syscall.WNOHANG, nil)
	return status, err == nil && pid == p.pid
}

// endPatience is how long a process that is not needed has to exit by itself.
const endPatience = 100 * time.Millisecond

// end ends a process that is not needed, and returns how it exited. Most such processes exit by
// themselves.
func (p *process) end() ending {
	defer p.close()
	impatient := time.AfterFunc(endPatience, func() { _ = p.kill() })
	defer impatient.Stop()
	how, err := p.wait(context.Background())
	if err != nil {
		_ = p.kill()
	}
	return how
}
