package wasi

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// waker ends a wait of the guest's thread. Any goroutine may call ring; then the thread checks
// again what it waits for.
type waker struct {
	bell    chan struct{} // holds at most one ring
	ringing func()        // ring, made once

	mu sync.Mutex
	fd int // an eventfd that ring also writes to; -1 until the thread first waits for descriptors of the kernel
}

func newWaker() *waker {
	w := &waker{bell: make(chan struct{}, 1), fd: -1}
	w.ringing = w.ring
	return w
}

func (w *waker) ring() {
	select {
	case w.bell <- struct{}{}:
	default: // it was already rung
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = unix.Write(w.fd, one[:]) // it fails only if it was already rung
	}
}

// descriptor is the eventfd.
func (w *waker) descriptor() (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd < 0 {
		// It may have been rung since the thread last looked: one look too many does no harm.
		fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			return -1, err
		}
		w.fd = fd
	}
	return w.fd, nil
}

func (w *waker) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	fd := w.fd
	w.fd = -1
	if fd < 0 {
		return nil
	}
	return unix.Close(fd)
}

// BeforeWait has f called on the guest's thread each time before it waits for a time, an object or
// a signal. f must not call the guest.
func (g *Guest) BeforeWait(f func()) { g.beforeWait = append(g.beforeWait, f) }

func (g *Guest) announce() {
	for _, f := range g.beforeWait {
		f()
	}
}

// noDeadline is a wait without an end.
const noDeadline = time.Duration(1<<63 - 1)

// pause waits for d, for the waker, or for a kill of the guest. Only a kill is an error.
func (g *Guest) pause(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return ErrKilled
	}
	if d <= 0 {
		return nil
	}
	g.announce()
	var end <-chan time.Time
	if d != noDeadline {
		timer := time.NewTimer(d)
		defer timer.Stop()
		end = timer.C
	}
	select {
	case <-end:
	case <-g.waker.bell:
	case <-ctx.Done():
		return ErrKilled
	}
	return nil
}

// watch waits like pause, and also for the first event of the kernel's descriptors in fds. It uses
// the last entry of fds itself. The events are in their Revents.
func (g *Guest) watch(ctx context.Context, fds []unix.PollFd, d time.Duration) error {
	if ctx.Err() != nil {
		return ErrKilled
	}
	own := &fds[len(fds)-1]
	bell, err := g.waker.descriptor()
	if err != nil {
		return err
	}
	*own = unix.PollFd{Fd: int32(bell), Events: unix.POLLIN}
	var timeout *unix.Timespec
	if d != noDeadline {
		t := unix.NsecToTimespec(int64(max(d, 0)))
		timeout = &t
	}
	if d > 0 {
		g.announce()
		defer context.AfterFunc(ctx, g.waker.ringing)()
	}
	if _, err := unix.Ppoll(fds, timeout, nil); err != nil && err != unix.EINTR {
		return err
	}
	if own.Revents != 0 {
		var count [8]byte
		_, _ = unix.Read(bell, count[:]) // so that it does not ring again
	}
	if ctx.Err() != nil {
		return ErrKilled
	}
	return nil
}

// await waits until fd has one of the events.
func (g *Guest) await(ctx context.Context, fd int, events int16) error {
	for {
		fds := [2]unix.PollFd{{Fd: int32(fd), Events: events}}
		if err := g.watch(ctx, fds[:], noDeadline); err != nil {
			return err
		}
		if fds[0].Revents != 0 {
			return nil
		}
	}
}
