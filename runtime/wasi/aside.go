package wasi

import (
	"context"

	"golang.org/x/sys/unix"
)

// Some calls of the kernel last as long as a guest makes them last, cannot be made in pieces, and
// cannot be interrupted: a flush of gigabytes that the guest wrote, a look into a directory that
// was large once, and the freeing of a large file's pages, where it is shortened, removed,
// replaced, or closed as the last. They are made on a thread beside, so that a kill does not wait
// for them.

// slowSize is the size, in bytes, from which a file is freed aside. The kernel frees as many within
// 3 ms.
const slowSize = 16 << 20

func slow(st *unix.Stat_t) bool { return max(st.Size, st.Blocks*512) > slowSize }

// slow reports whether it takes long to remove or to replace what a walk found.
func (a *attributes) slow() bool { return a != nil && slow(&a.Stat_t) }

// aside makes a call of the kernel on another thread, and waits until it has ended or the guest is
// killed. After a kill the call goes on to its end by itself, with descriptors of its own, and its
// result is lost. Those descriptors are taken from the stock that guests share, which bounds how
// many such calls there are; if the stock is empty, the guest's own thread makes the call.
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

// wait waits for the end of a call beside, or for the end of the guest.
func wait(ctx context.Context, call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }() // ends with the call
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ErrKilled
	}
}

// copies are the same files by other descriptors.
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

// slow reports whether closing the file frees much: only descriptors refer to it any more.
func (f *File) slow() bool {
	if f.kind != TypeRegularFile {
		return false
	}
	var st unix.Stat_t
	return unix.Fstat(f.fd, &st) == nil && st.Nlink == 0 && slow(&st)
}
