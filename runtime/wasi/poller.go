package wasi

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller waits for descriptors beside the threads of guests, for all guests of the OS process. It
// has one goroutine, which begins with the first wait and stays, as the runtime's own poller does.
// The goroutine waits in the runtime's poller, and so needs no thread of its own.
type poller struct {
	begin  sync.Once
	failed error // why there is no epoll
	fd     int   // the epoll
	raw    syscall.RawConn

	mu      sync.Mutex
	age     int32
	watched map[int]*watched // by descriptor
}

// watched is a descriptor that the epoll knows. It stays there until it is closed.
type watched struct {
	age   int32 // tells it from an earlier descriptor with the same number
	waits []*Watch
}

// Watch is one wait for a file or socket beside the guest's thread.
type Watch struct {
	fd     int
	events uint32
	ready  func()
}

var beside poller

// start makes the epoll, once.
func (p *poller) start() error {
	p.begin.Do(func() {
		p.watched = map[int]*watched{}
		if p.fd, p.failed = unix.EpollCreate1(unix.EPOLL_CLOEXEC); p.failed != nil {
			return
		}
		if p.failed = unix.SetNonblock(p.fd, true); p.failed != nil { // so that the runtime's poller takes it
			return
		}
		if p.raw, p.failed = os.NewFile(uintptr(p.fd), "epoll").SyscallConn(); p.failed == nil {
			go p.run()
		}
	})
	return p.failed
}

// watch has ready called once, by another goroutine, when fd can be read from or written to. forget
// must be called before fd is closed.
func (p *poller) watch(fd int, write bool, ready func()) (*Watch, error) {
	if err := p.start(); err != nil {
		return nil, err
	}
	w := &Watch{fd: fd, events: unix.EPOLLIN, ready: ready}
	if write {
		w.events = unix.EPOLLOUT
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.watched[fd]
	call := unix.EPOLL_CTL_MOD
	if of == nil {
		p.age++
		of, call = &watched{age: p.age}, unix.EPOLL_CTL_ADD
	}
	of.waits = append(of.waits, w)
	err := p.arm(fd, of, call)
	switch {
	case err == nil:
		p.watched[fd] = of
		return w, nil
	case errors.Is(err, unix.EPERM): // a device that is always ready
		go ready()
		return w, nil
	}
	of.waits = of.waits[:len(of.waits)-1]
	return nil, err
}

// arm tells the kernel what is waited for, until the next event.
func (p *poller) arm(fd int, of *watched, call int) error {
	e := unix.EpollEvent{Events: unix.EPOLLONESHOT, Fd: int32(fd), Pad: of.age}
	for _, w := range of.waits {
		e.Events |= w.events
	}
	return unix.EpollCtl(p.fd, call, fd, &e)
}

// Stop ends the wait. ready may be running, or run yet, if it is about to be called.
func (w *Watch) Stop() {
	beside.mu.Lock()
	defer beside.mu.Unlock()
	of := beside.watched[w.fd]
	if of == nil {
		return
	}
	for i, other := range of.waits {
		if other == w {
			// The kernel is not told: an event more does no harm.
			of.waits = append(of.waits[:i], of.waits[i+1:]...)
			return
		}
	}
}

// forget ends all waits for a descriptor that is about to be closed. A copy of it may stay open.
func (p *poller) forget(fd int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watched[fd] != nil {
		delete(p.watched, fd)
		_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil) // it is there
	}
}

func (p *poller) run() {
	var (
		events [128]unix.EpollEvent
		ready  []func()
	)
	for {
		n := 0
		err := p.raw.Read(func(fd uintptr) bool {
			var err error
			n, err = unix.EpollWait(int(fd), events[:], 0)
			return err == nil && n > 0
		})
		if err != nil {
			return // the epoll is never closed
		}
		ready = p.take(events[:n], ready[:0])
		for i, f := range ready {
			f()
			ready[i] = nil
		}
	}
}

// take takes the waits that have ended, and returns what is to be called.
func (p *poller) take(events []unix.EpollEvent, ready []func()) []func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		of := p.watched[int(e.Fd)]
		if of == nil || of.age != e.Pad {
			continue // it was closed since
		}
		kept := of.waits[:0]
		for _, w := range of.waits {
			if e.Events&(w.events|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
				ready = append(ready, w.ready)
			} else {
				kept = append(kept, w)
			}
		}
		clear(of.waits[len(kept):])
		of.waits = kept
		if len(kept) > 0 {
			_ = p.arm(int(e.Fd), of, unix.EPOLL_CTL_MOD) // it worked before
		}
	}
	return ready
}
