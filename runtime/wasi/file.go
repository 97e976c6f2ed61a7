package wasi

import (
	"context"

	"golang.org/x/sys/unix"
)

// file is an open file that is no directory: regular, or a device or FIFO of a mounted host directory.
// It was opened non-blocking, so that opening a FIFO waits for nobody.
type file struct {
	fd       int
	kind     filetype
	readOnly bool // its mount is
	large    bool // it was when it was opened
}

func (f *file) filetype() filetype { return f.kind }

func (f *file) stat() (filestat, error) {
	var st unix.Stat_t
	err := unix.Fstat(f.fd, &st)
	return statOf(&st), err
}

func (f *file) close() error {
	fd := f.fd
	f.fd = -1
	return unix.Close(fd)
}

// setFlags makes the kernel append, which alone is atomic between writers. Waiting is this package's affair.
func (f *file) setFlags(flags uint16) error {
	now, err := unix.FcntlInt(uintptr(f.fd), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	next := now &^ unix.O_APPEND
	if flags&flagAppend != 0 {
		next |= unix.O_APPEND
	}
	if next == now {
		return nil
	}
	_, err = unix.FcntlInt(uintptr(f.fd), unix.F_SETFL, next)
	return err
}

// remaining is how many bytes are between the position and the end of a regular file.
func (f *file) remaining() uint64 {
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

// allocateChunk is how many bytes are allocated before the host looks whether the guest was killed. A file system in memory
// clears them, which takes some milliseconds. maxAllocation is more than any disk has.
const (
	allocateChunk = 8 << 20
	maxAllocation = 1 << 50
)

// allocate makes sure that the file has at least offset+size bytes. What does not fit the disk, or the bounds that
// the host sets files, is ErrnoNospc, ErrnoFbig or ErrnoDquot; what was allocated before that stays.
func (f *file) allocate(ctx context.Context, pace *pace, offset, size uint64) error {
	if size == 0 || offset+size < offset || offset+size > 1<<63-1 {
		return ErrnoInval
	}
	if size > maxAllocation {
		return ErrnoFbig
	}
	for size > 0 {
		if err := pace.look(ctx); err != nil {
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

// setTimes sets the times of an open file.
func (f *file) setTimes(times [2]unix.Timespec) error {
	if f.readOnly {
		return ErrnoRofs
	}
	return unix.UtimesNanoAt(f.fd, "", times[:], unix.AT_EMPTY_PATH)
}
