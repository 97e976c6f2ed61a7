package wasi

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// file is an open file that is no directory: regular, or a device or FIFO of a mounted host directory.
// It was opened non-blocking, so that opening a FIFO waits for nobody.
type file struct {
	f        *os.File
	kind     filetype
	readOnly bool // its mount is
}

func newFile(f *os.File, readOnly bool) (*file, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &file{f: f, kind: typeOf(info.Mode()), readOnly: readOnly}, nil
}

func (f *file) filetype() filetype { return f.kind }

func (f *file) stat() (filestat, error) {
	info, err := f.f.Stat()
	if err != nil {
		return filestat{}, err
	}
	return statOf(info), nil
}

func (f *file) close() error { return f.f.Close() }

// interruptible makes the calls that block on a FIFO or a device end when ctx does.
func (f *file) interruptible(ctx context.Context) (release func() bool) {
	if f.kind == typeRegularFile {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() { _ = f.f.SetDeadline(time.Unix(1, 0)) })
}

func (f *file) read(ctx context.Context, p []byte, flags uint16) (int, error) {
	return f.transfer(ctx, p, flags, f.f.Read, unix.Read)
}

func (f *file) write(ctx context.Context, p []byte, flags uint16) (int, error) {
	return f.transfer(ctx, p, flags, f.f.Write, unix.Write)
}

// transfer moves p by move, or by now, which never waits, where the guest asked for that.
func (f *file) transfer(ctx context.Context, p []byte, flags uint16, move func([]byte) (int, error), now func(int, []byte) (int, error)) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if f.kind == typeRegularFile {
		return ended(chunks(ctx, p, move))
	}
	if flags&flagNonblock != 0 {
		n, err := now(int(f.f.Fd()), p[:min(len(p), maxChunk)])
		return max(n, 0), err
	}
	defer f.interruptible(ctx)()
	n, err := move(p[:min(len(p), maxChunk)])
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		return n, ErrKilled
	}
	return ended(n, err)
}

// ended takes the end of the file for what it is to a guest: no bytes, no error.
func ended(n int, err error) (int, error) {
	if errors.Is(err, io.EOF) {
		return n, nil
	}
	return n, err
}

func (f *file) readAt(ctx context.Context, p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, ErrnoInval
	}
	return ended(chunks(ctx, p, func(b []byte) (int, error) {
		n, err := f.f.ReadAt(b, offset)
		offset += int64(n)
		return n, err
	}))
}

func (f *file) writeAt(ctx context.Context, p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, ErrnoInval
	}
	return chunks(ctx, p, func(b []byte) (int, error) {
		n, err := f.f.WriteAt(b, offset)
		offset += int64(n)
		return n, err
	})
}

// setFlags makes the kernel append, which alone is atomic between writers. Waiting is this package's affair.
func (f *file) setFlags(flags uint16) error {
	fd := f.f.Fd()
	now, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
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
	_, err = unix.FcntlInt(fd, unix.F_SETFL, next)
	return err
}

// remaining is how many bytes are between the position and the end of a regular file.
func (f *file) remaining() uint64 {
	at, err := f.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	info, err := f.f.Stat()
	if err != nil {
		return 0
	}
	return uint64(max(info.Size()-at, 0))
}

// allocate makes sure that the file has at least offset+size bytes.
func (f *file) allocate(offset, size uint64) error {
	if size == 0 || offset+size < offset || offset+size > 1<<62 {
		return ErrnoInval
	}
	return unix.Fallocate(int(f.f.Fd()), 0, int64(offset), int64(size))
}

// futimes sets the times of an open file. utimensat with no path means the descriptor itself, and the wrapper
// of x/sys cannot pass none.
func futimes(f *os.File, times [2]unix.Timespec) error {
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, f.Fd(), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
