package wasi

import (
	"context"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxChunk is how many bytes one system call moves between two checks whether the guest was killed.
// This takes some 50 µs, and less than 100 ms on a busy disk.
const maxChunk = 256 << 10

// hostIovecs is how many of a guest's buffers one system call gets.
const hostIovecs = 16

// transfer describes how bytes move between the kernel and the guest's buffers. It does not need
// the heap.
type transfer struct {
	fd       int
	call     uintptr // SYS_READV, SYS_WRITEV, SYS_PREADV, SYS_PWRITEV, SYS_PWRITEV2, SYS_RECVMSG or SYS_SENDMSG
	offset   int64   // for SYS_PREADV and SYS_PWRITEV
	flags    int     // for SYS_PWRITEV2, SYS_RECVMSG and SYS_SENDMSG
	events   int16   // events to wait for; 0 for a regular file, which never waits
	nonblock bool    // the guest does not want to wait
	whole    bool    // continue, and wait, until all bytes are moved
}

// run moves the buffers' bytes, and returns their number. If an error comes after some bytes were
// moved, it is not returned; the guest's next call gets it, as in any Unix. A kill is always
// returned.
func (t *transfer) run(ctx context.Context, g *Guest, bufs [][]byte) (moved int, err error) {
	var (
		host [hostIovecs]unix.Iovec
		at   cursor
	)
	for {
		n, size := at.gather(bufs, &host)
		if n == 0 {
			return moved, nil
		}
		if moved > 0 { // a transfer of one piece needs no check
			if err := g.pace.look(ctx); err != nil {
				return moved, err
			}
		}
		some, errno := t.once(&host, n)
		if errno == unix.EAGAIN && t.events != 0 && !t.nonblock && (moved == 0 || t.whole) {
			if err := g.await(ctx, t.fd, t.events); err != nil {
				return moved, err
			}
			continue
		}
		if errno != 0 {
			return moved, onlyFirst(moved, errno)
		}
		moved += some
		t.offset += int64(some)
		at.advance(bufs, some)
		if some == 0 || !t.whole && (some < size || t.events != 0) {
			return moved, nil
		}
	}
}

func onlyFirst(moved int, err error) error {
	if moved > 0 {
		return nil
	}
	return err
}

// once makes one system call.
func (t *transfer) once(host *[hostIovecs]unix.Iovec, n int) (int, unix.Errno) {
	for {
		var (
			moved uintptr
			errno unix.Errno
		)
		switch t.call {
		case unix.SYS_RECVMSG, unix.SYS_SENDMSG:
			msg := unix.Msghdr{Iov: &host[0]}
			msg.SetIovlen(n)
			moved, _, errno = unix.Syscall(t.call, uintptr(t.fd), uintptr(unsafe.Pointer(&msg)), uintptr(t.flags))
		case unix.SYS_PREADV, unix.SYS_PWRITEV:
			moved, _, errno = unix.Syscall6(t.call, uintptr(t.fd), uintptr(unsafe.Pointer(&host[0])), uintptr(n),
				uintptr(t.offset), 0, 0)
		case unix.SYS_PWRITEV2:
			moved, _, errno = unix.Syscall6(t.call, uintptr(t.fd), uintptr(unsafe.Pointer(&host[0])), uintptr(n),
				uintptr(t.offset), 0, uintptr(t.flags))
		default:
			moved, _, errno = unix.Syscall(t.call, uintptr(t.fd), uintptr(unsafe.Pointer(&host[0])), uintptr(n))
		}
		if errno == 0 {
			return int(moved), 0
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// cursor is the position in a guest's buffers up to which bytes were moved.
type cursor struct {
	index  int
	offset int // in that buffer
}

// gather fills host with the next buffers that are not empty, up to maxChunk bytes.
func (c cursor) gather(bufs [][]byte, host *[hostIovecs]unix.Iovec) (n, size int) {
	for n < len(host) && size < maxChunk && c.index < len(bufs) {
		b := bufs[c.index][c.offset:]
		c = cursor{index: c.index + 1}
		if len(b) == 0 {
			continue
		}
		b = b[:min(len(b), maxChunk-size)]
		host[n].Base = &b[0]
		host[n].SetLen(len(b))
		n, size = n+1, size+len(b)
	}
	return n, size
}

// advance moves the cursor forward by a number of bytes.
func (c *cursor) advance(bufs [][]byte, bytes int) {
	for bytes > 0 && c.index < len(bufs) {
		left := len(bufs[c.index]) - c.offset
		if bytes < left {
			c.offset += bytes
			return
		}
		bytes -= left
		c.index, c.offset = c.index+1, 0
	}
}

// sizeOf is the sum of the buffers' sizes.
func sizeOf(bufs [][]byte) (sum int) {
	for _, b := range bufs {
		sum += len(b)
	}
	return sum
}
