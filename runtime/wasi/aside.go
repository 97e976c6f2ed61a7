package wasi

import (
	"context"

	"golang.org/x/sys/unix"
)

// A guest can make some system calls take very long, and these calls cannot be split or
// interrupted: a flush of gigabytes that the guest wrote, the reading of a directory that was large
// once, and the freeing of a large file's pages when it is shortened, removed, replaced, or closed
// for the last time. These calls run on a separate thread, so that a kill does not wait for them.

// slowSize is the size, in bytes, above which a file is freed on a separate thread. The kernel
// frees this size within 3 ms.
const slowSize = 16 << 20

func slow(st *unix.Stat_t) bool { return max(st.Size, st.Blocks*512) > slowSize }

// slow reports whether the removal or replacement of this file takes long.
func (a *attributes) slow() bool { return a != nil && slow(&a.Stat_t) }

// aside makes a system call on another thread, and waits until the call has ended or the guest is
// killed. After a kill the call continues to its end with its own descriptors, and its result is
// lost. These descriptors come from the stock that guests share, which bounds the number of such
// calls. If the stock is empty, the guest's own thread makes the call.
func aside(ctx context.Context, files *Files, call func(fds []int) error, fds ...int) error {
	if ctx.Err() != nil {
		return ErrKilled
	}
	own, ok := copies(files, fds)
	if !ok {
		return call(fds)
	}
	return wait(ctx, func() error {
		err := call(own)
		drop(files, own)
		return err
	})
}

// SyncLater is Sync, which calls done with the result from another goroutine. It reports whether it
// does: if the stock of files is empty, it does nothing. done must not call the guest. The flush
// continues after the guest's end.
func (f *File) SyncLater(dataOnly bool, done func(error)) bool {
	return flushLater(f.guest, f.fd, dataOnly, done)
}

// SyncLater is that of a File.
func (d *Directory) SyncLater(dataOnly bool, done func(error)) bool {
	return d.openStream() == nil && flushLater(d.at.ns.guest, d.stream, dataOnly, done)
}

func flushLater(g *Guest, fd int, dataOnly bool, done func(error)) bool {
	own, ok := copies(g.room.files, []int{fd})
	if !ok {
		return false
	}
	go func() { // it ends with the call, as in aside
		err := flushNow(own[0], dataOnly)
		drop(g.room.files, own)
		done(err)
	}()
	return true
}

func flushNow(fd int, dataOnly bool) error {
	if dataOnly {
		return unix.Fdatasync(fd)
	}
	return unix.Fsync(fd)
}

// wait waits for the end of a call on another thread, or for the end of the guest.
func wait(ctx context.Context, call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }() // the goroutine ends with the call
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ErrKilled
	}
}

// copies are new descriptors of the same files.
func copies(files *Files, fds []int) (own []int, ok bool) {
	for _, fd := range fds {
		if !files.take(0) {
			drop(files, own)
			return nil, false
		}
		c, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			files.give(1)
			drop(files, own)
			return nil, false
		}
		own = append(own, c)
	}
	return own, true
}

func drop(files *Files, fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd) // the guest has its own
	}
	files.give(len(fds))
}

// slow reports whether closing the file frees many pages. This is so if the file is large and has
// no name any more.
func (f *File) slow() bool {
	if f.kind != TypeRegularFile {
		return false
	}
	var st unix.Stat_t
	return unix.Fstat(f.fd, &st) == nil && st.Nlink == 0 && slow(&st)
}
