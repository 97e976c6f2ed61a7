package wasi

import (
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// watcher waits for devices and FIFOs beside the guest's thread. It has one goroutine, which is
// there only while something is watched.
type watcher struct {
	mu      sync.Mutex
	watched []*Watch
	running bool
	closed  bool
	bell    int           // an eventfd that ends a wait
	ended   chan struct{} // closed when the goroutine has ended; nil before it begins
}

// Watch is one wait for a file.
type Watch struct {
	of     *watcher
	fd     int
	events int16
	ready  func()
}

// Watch has ready called once, by another goroutine, when a FIFO or device can be read from, or
// written to. ready must not call the guest. The file must stay open until ready was called or the
// Watch is stopped.
func (f *File) Watch(write bool, ready func()) (*Watch, error) {
	w := f.guest.watcher
	if w == nil {
		bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			return nil, err
		}
		w = &watcher{bell: bell}
		f.guest.watcher = w
	}
	one := &Watch{of: w, fd: f.fd, events: unix.POLLIN, ready: ready}
	if write {
		one.events = unix.POLLOUT
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watched = append(w.watched, one)
	if !w.running {
		w.running, w.ended = true, make(chan struct{})
		go w.run(w.ended)
		return one, nil
	}
	w.ring()
	return one, nil
}

// Stop ends the wait. ready may be running, or run yet, if it is about to be called.
func (one *Watch) Stop() {
	w := one.of
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.watched, one); i >= 0 {
		w.watched = slices.Delete(w.watched, i, i+1)
		w.ring()
	}
}

func (w *watcher) ring() {
	one := [8]byte{1}
	_, _ = unix.Write(w.bell, one[:]) // it fails only if it was already rung
}

// run waits until nothing is watched any more.
func (w *watcher) run(ended chan struct{}) {
	defer close(ended)
	for {
		waits := w.list()
		if waits == nil {
			return
		}
		fds := make([]unix.PollFd, len(waits)+1)
		for i, one := range waits {
			fds[i] = unix.PollFd{Fd: int32(one.fd), Events: one.events}
		}
		fds[len(waits)] = unix.PollFd{Fd: int32(w.bell), Events: unix.POLLIN}
		if _, err := unix.Ppoll(fds, nil, nil); err != nil && err != unix.EINTR {
			clear(fds) // there is no memory for it: those who wait try again
			for i := range waits {
				fds[i].Revents = unix.POLLNVAL
			}
		}
		var count [8]byte
		_, _ = unix.Read(w.bell, count[:]) // so that it does not ring again
		for i, one := range waits {
			if fds[i].Revents != 0 && w.forget(one) {
				one.ready()
			}
		}
	}
}

// list returns what is watched, or nil if the goroutine has to end.
func (w *watcher) list() []*Watch {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.watched) == 0 || w.closed {
		w.running = false
		return nil
	}
	return slices.Clone(w.watched)
}

// forget reports whether one was still watched.
func (w *watcher) forget(one *Watch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.watched, one)
	if i >= 0 {
		w.watched = slices.Delete(w.watched, i, i+1)
	}
	return i >= 0
}

// close ends the goroutine, and waits for that.
func (w *watcher) close() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	w.closed = true
	w.ring()
	ended := w.ended
	w.mu.Unlock()
	<-ended
	return unix.Close(w.bell)
}
