package wasi

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

// File is an open file that is not a directory: a regular file, or a device or FIFO of a mounted
// host directory. It was opened non-blocking, so that opening a FIFO does not wait for its other
// end.
type File struct {
	guest    *Guest
	fd       int
	kind     FileType
	readOnly bool // its mount is read-only
	watched  bool // the poller knows it
}

// Type implements Object.
func (f *File) Type() FileType { return f.kind }

// Stat implements Object.
func (f *File) Stat() (Stat, error) { return statFD(f.fd) }

// Close implements Object. If this frees a large file, it waits until that is freed or ctx ends.
func (f *File) Close(ctx context.Context) error {
	room := &f.guest.room
	var slow []int // a second descriptor, which is closed last, on another thread
	if room.large() && f.slow() {
		slow, _ = copies(room.files, []int{f.fd})
	}
	fd := f.fd
	f.fd = -1
	if f.watched {
		beside.forget(fd)
	}
	err := unix.Close(fd)
	room.release()
	if len(slow) > 0 {
		err = errors.Join(err, wait(ctx, func() error { drop(room.files, slow); return nil }))
	}
	return err
}

// Watch has ready called once, by another goroutine, when a FIFO or device can be read from, or
// written to. ready must not call the guest. Close ends the wait.
func (f *File) Watch(write bool, ready func()) (*Watch, error) {
	f.watched = true
	return beside.watch(f.fd, write, ready)
}

// Read reads bytes at the file's position into the buffers, and returns their number. Only a device
// or a FIFO waits for bytes. If nonblock is set, the error is ErrWouldBlock instead.
func (f *File) Read(ctx context.Context, bufs [][]byte, nonblock bool) (int, error) {
	t := f.transfer(unix.SYS_READV, unix.POLLIN, nonblock)
	return t.run(ctx, f.guest, bufs)
}

// Write writes all bytes of the buffers at the file's position. Like Read it waits only for a
// device or a FIFO.
func (f *File) Write(ctx context.Context, bufs [][]byte, nonblock bool) (int, error) {
	t := f.transfer(unix.SYS_WRITEV, unix.POLLOUT, nonblock)
	t.whole = true
	n, err := t.run(ctx, f.guest, bufs)
	f.guest.room.moved(int64(n))
	return n, err
}

// ReadAt is Read at an offset. It does not change the file's position.
func (f *File) ReadAt(ctx context.Context, bufs [][]byte, offset int64) (int, error) {
	t := f.transfer(unix.SYS_PREADV, 0, false)
	t.offset = offset
	return t.run(ctx, f.guest, bufs)
}

// WriteAt is Write at an offset. It does not change the file's position.
func (f *File) WriteAt(ctx context.Context, bufs [][]byte, offset int64) (int, error) {
	t := f.transfer(unix.SYS_PWRITEV, 0, false)
	t.offset = offset
	n, err := t.run(ctx, f.guest, bufs)
	f.guest.room.moved(int64(n))
	return n, err
}

// Append is Write at the end of the file, which the kernel finds. It does not change the file's
// position.
func (f *File) Append(ctx context.Context, bufs [][]byte) (int, error) {
	t := f.transfer(unix.SYS_PWRITEV2, 0, false)
	t.flags = unix.RWF_APPEND
	n, err := t.run(ctx, f.guest, bufs)
	f.guest.room.moved(int64(n))
	return n, err
}

// transfer describes how bytes of the file are transferred.
func (f *File) transfer(call uintptr, events int16, nonblock bool) transfer {
	if f.kind == TypeRegularFile {
		events = 0
	}
	return transfer{fd: f.fd, call: call, events: events, nonblock: nonblock}
}

// Seek changes the file's position, and returns the new one. whence has the values of io.Seeker.
func (f *File) Seek(offset int64, whence int) (int64, error) { return unix.Seek(f.fd, offset, whence) }

// SetAppend turns on or off that every write goes to the end of the file. The kernel does the
// appending, because only it can separate the writes of several writers.
func (f *File) SetAppend(on bool) error {
	now, err := unix.FcntlInt(uintptr(f.fd), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	next := now &^ unix.O_APPEND
	if on {
		next |= unix.O_APPEND
	}
	if next == now {
		return nil
	}
	_, err = unix.FcntlInt(uintptr(f.fd), unix.F_SETFL, next)
	return err
}

// Sync writes the file's content to the disk. Unless dataOnly is set, it also writes its
// attributes.
func (f *File) Sync(ctx context.Context, dataOnly bool) error {
	return flush(ctx, f.guest, f.fd, dataOnly)
}

func flush(ctx context.Context, g *Guest, fd int, dataOnly bool) error {
	return aside(ctx, g.room.files, func(fds []int) error { return flushNow(fds[0], dataOnly) }, fd)
}

// SetSize makes the file shorter or longer.
func (f *File) SetSize(ctx context.Context, size int64) error {
	f.guest.room.moved(size)
	var st unix.Stat_t
	if unix.Fstat(f.fd, &st) == nil && st.Size > size && slow(&st) {
		return aside(ctx, f.guest.room.files, func(fds []int) error { return unix.Ftruncate(fds[0], size) }, f.fd)
	}
	return unix.Ftruncate(f.fd, size)
}

// SetTimes sets the times of the file.
func (f *File) SetTimes(times Times) error {
	if f.readOnly {
		return ErrReadOnly
	}
	return unix.UtimesNanoAt(f.fd, "", times[:], unix.AT_EMPTY_PATH)
}

// remaining is the number of bytes between the position and the end of a regular file.
func (f *File) remaining() uint64 {
	at, err := unix.Seek(f.fd, 0, unix.SEEK_CUR)
	if err != nil {
		return 0
	}
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return 0
	}
	return uint64(max(st.Size-at, 0))
}

// allocateChunk is how many bytes are allocated between two checks whether the guest was killed. A
// file system in memory clears them, which takes some milliseconds. maxAllocation is more than any
// disk has.
const (
	allocateChunk = 8 << 20
	maxAllocation = 1 << 50
)

// Allocate makes sure that the file has at least offset+size bytes. The error is ErrNoSpace,
// ErrFileTooLarge or ErrQuota if they exceed the disk or the bounds of the host for files. Bytes
// that were allocated before the error stay.
func (f *File) Allocate(ctx context.Context, offset, size uint64) error {
	f.guest.room.moved(int64(min(size, slowSize)))
	if size == 0 || offset+size < offset || offset+size > 1<<63-1 {
		return ErrInvalid
	}
	if size > maxAllocation {
		return ErrFileTooLarge
	}
	for size > 0 {
		if err := f.guest.pace.look(ctx); err != nil {
			return err
		}
		n := min(size, allocateChunk)
		if err := unix.Fallocate(f.fd, 0, int64(offset), int64(n)); err == unix.EINTR {
			continue
		} else if err != nil {
			return err
		}
		offset, size = offset+n, size-n
	}
	return nil
}
