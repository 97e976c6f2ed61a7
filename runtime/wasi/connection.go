package wasi

import (
	"context"

	"golang.org/x/sys/unix"
)

// Connection is an accepted connection.
type Connection struct {
	guest *Guest
	fd    int
}

// Type implements Object.
func (*Connection) Type() FileType { return TypeSocket }

// Stat implements Object.
func (c *Connection) Stat() (Stat, error) { return statFD(c.fd) }

// Close implements Object.
func (c *Connection) Close(context.Context) error {
	fd := c.fd
	c.fd = -1
	c.guest.room.release()
	return unix.Close(fd)
}

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
func (c *Connection) Receive(ctx context.Context, bufs [][]byte, how Receive) (int, error) {
	t := transfer{
		fd: c.fd, call: unix.SYS_RECVMSG, flags: unix.MSG_DONTWAIT, events: unix.POLLIN,
		nonblock: how&DontWait != 0, whole: how&(WaitAll|Peek) == WaitAll,
	}
	if how&Peek == 0 {
		return c.guest.received.add(t.run(ctx, c.guest, bufs))
	}
	// Bytes that are only peeked at are received and counted later.
	t.flags |= unix.MSG_PEEK
	if how&WaitAll != 0 && !t.nonblock {
		if err := c.awaitBytes(ctx, sizeOf(bufs)); err != nil {
			return 0, err
		}
	}
	return t.run(ctx, c.guest, bufs)
}

// awaitBytes waits until the connection has n bytes to read, or its buffer is full, or it has
// ended.
func (c *Connection) awaitBytes(ctx context.Context, n int) error {
	if err := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, min(max(n, 1), maxChunk)); err != nil {
		return err
	}
	err := c.guest.await(ctx, c.fd, unix.POLLIN)
	if back := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1); err == nil {
		err = back
	}
	return err
}

// Send writes all bytes of the buffers to the connection, and waits if necessary. If nonblock is
// set, it writes the bytes for which there is room, and returns ErrWouldBlock if there is none.
func (c *Connection) Send(ctx context.Context, bufs [][]byte, nonblock bool) (int, error) {
	t := transfer{
		fd: c.fd, call: unix.SYS_SENDMSG, flags: unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT, events: unix.POLLOUT,
		nonblock: nonblock, whole: true,
	}
	return c.guest.sent.add(t.run(ctx, c.guest, bufs))
}

// Shutdown says which directions of a socket must end.
type Shutdown uint8

// The directions.
const (
	ShutdownReceive Shutdown = 1 << iota
	ShutdownSend
)

// Shutdown ends receiving, sending or both.
func (c *Connection) Shutdown(how Shutdown) error { return how.do(c.fd) }

func (how Shutdown) do(fd int) error {
	switch how {
	case ShutdownReceive:
		return unix.Shutdown(fd, unix.SHUT_RD)
	case ShutdownSend:
		return unix.Shutdown(fd, unix.SHUT_WR)
	case ShutdownReceive | ShutdownSend:
		return unix.Shutdown(fd, unix.SHUT_RDWR)
	}
	return ErrInvalid
}
