package wasi

import (
	"context"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Receive is a set of options for receiving.
type Receive uint8

// The options of Receive, which may be combined.
const (
	Peek     Receive = 1 << iota // the bytes stay in the connection
	WaitAll                      // wait until all buffers are full
	DontWait                     // return ErrWouldBlock instead of waiting
)

// Receive reads bytes from the connection into the buffers, and returns their number; 0 means the
// end. It waits for the first byte.
func (t *TCP) Receive(ctx context.Context, bufs [][]byte, how Receive) (int, error) {
	if err := t.connected(); err != nil {
		return 0, err
	}
	n, err := t.receive(ctx, bufs, how)
	if t.forbidden.Load() && n == 0 && ErrorOf(err) != ErrWouldBlock {
		return 0, t.reset(err)
	}
	return n, err
}

// reset is the error of a connection that was cut, unless the guest was killed.
func (t *TCP) reset(err error) error {
	if err != nil && ErrorOf(err) == 0 {
		return err
	}
	return unix.ECONNRESET
}

func (t *TCP) receive(ctx context.Context, bufs [][]byte, how Receive) (int, error) {
	move := transfer{
		fd: t.fd, call: unix.SYS_RECVMSG, flags: unix.MSG_DONTWAIT, events: unix.POLLIN,
		nonblock: how&DontWait != 0, whole: how&(WaitAll|Peek) == WaitAll,
	}
	if how&Peek == 0 {
		return t.guest.received.add(move.run(ctx, t.guest, bufs))
	}
	// Bytes that are only peeked at are received and counted later.
	move.flags |= unix.MSG_PEEK
	if how&WaitAll != 0 && !move.nonblock {
		if err := t.awaitBytes(ctx, sizeOf(bufs)); err != nil {
			return 0, err
		}
	}
	return move.run(ctx, t.guest, bufs)
}

// awaitBytes waits until the connection has n bytes to read, or its buffer is full, or it has
// ended.
func (t *TCP) awaitBytes(ctx context.Context, n int) error {
	if err := unix.SetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, min(max(n, 1), maxChunk)); err != nil {
		return err
	}
	err := t.guest.await(ctx, t.fd, unix.POLLIN)
	if back := unix.SetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1); err == nil {
		err = back
	}
	return err
}

// Send writes all bytes of the buffers to the connection, and waits if necessary. If nonblock is
// set, it writes the bytes for which there is room, and returns ErrWouldBlock if there is none.
func (t *TCP) Send(ctx context.Context, bufs [][]byte, nonblock bool) (int, error) {
	if err := t.connected(); err != nil {
		return 0, err
	}
	move := transfer{
		fd: t.fd, call: unix.SYS_SENDMSG, flags: unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT, events: unix.POLLOUT,
		nonblock: nonblock, whole: true,
	}
	n, err := move.run(ctx, t.guest, bufs)
	if err != nil && t.forbidden.Load() {
		err = t.reset(err)
	}
	return t.guest.sent.add(n, err)
}

// maxRoom is how many bytes Room returns at most.
const maxRoom = 1 << 20

// soMemInfo is SO_MEMINFO of Linux, and the places of two numbers in its answer.
const (
	soMemInfo    = 55
	memSendLimit = 3 // bytes that the kernel holds at most, with what it needs for itself
	memToSend    = 5 // bytes that it holds now
)

// Room returns how many bytes Send takes now without a wait; 0 for none yet. It is more than 0 when
// a poll says that the connection can be written to. Only if the kernel has very little memory, a
// Send of so many bytes waits. Errors of the connection are those of Send.
func (t *TCP) Room() (int, error) {
	if err := t.connected(); err != nil {
		return 0, err
	}
	var numbers [9]uint32
	size := uint32(unsafe.Sizeof(numbers))
	if _, _, err := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(t.fd), unix.SOL_SOCKET, soMemInfo,
		uintptr(unsafe.Pointer(&numbers)), uintptr(unsafe.Pointer(&size)), 0); err != 0 {
		return 0, err
	}
	limit, held := int(numbers[memSendLimit]), int(numbers[memToSend])
	free := limit - held
	if free <= 0 || free < held/2 { // the kernel's own rule for polls
		return 0, nil
	}
	// The kernel counts what it needs beside the bytes, too: less than three times as much.
	return min(max(free/4, 1), maxRoom), nil
}

// Shutdown says which directions of a connection must end, or have ended.
type Shutdown uint8

// The directions.
const (
	ShutdownReceive Shutdown = 1 << iota
	ShutdownSend
)

// Shutdown ends receiving, sending or both, like shutdown(2). A listening socket then accepts no
// more connections.
func (t *TCP) Shutdown(how Shutdown) error {
	if t.state == Connecting {
		if err := t.connected(); err != nil {
			return err
		}
	}
	var call int
	switch how {
	case ShutdownReceive:
		call = unix.SHUT_RD
	case ShutdownSend:
		call = unix.SHUT_WR
	case ShutdownReceive | ShutdownSend:
		call = unix.SHUT_RDWR
	default:
		return ErrInvalid
	}
	if err := unix.Shutdown(t.fd, call); err != nil {
		return err
	}
	t.shut |= how
	return nil
}

// Shut returns the directions that Shutdown has ended.
func (t *TCP) Shut() Shutdown { return t.shut }
