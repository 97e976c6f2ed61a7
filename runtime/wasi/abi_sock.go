package wasi

import (
	"context"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Flags of sock_recv (riflags) and sock_shutdown (sdflags).
const (
	recvPeek    = 1 // the bytes stay where they are
	recvWaitAll = 2 // it waits until all buffers are full

	shutRead  = 1
	shutWrite = 2
)

// notSocket is the error for a descriptor that is no socket, or not the kind of it that a call wants.
func notSocket(o object) error {
	switch o.(type) {
	case *directory:
		return ErrnoBadf // as for all that moves bytes
	case *listener:
		return ErrnoNotconn
	case *connection:
		return ErrnoInval // it does not listen
	}
	return ErrnoNotsock
}

func sockAccept(ctx context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	l, ok := d.object.(*listener)
	if !ok {
		return notSocket(d.object)
	}
	if d.rights&rightSockAccept == 0 {
		return ErrnoNotcapable
	}
	flags := a.u16(1)
	if flags&^flagNonblock != 0 {
		return ErrnoInval
	}
	if _, err := m.bytes(a.u32(2), 4); err != nil {
		return err
	}
	if err := g.fds.reserve(); err != nil {
		return ErrnoMfile // also for want of files of the host: the error at which servers wait and try again
	}
	fd, err := g.accept(ctx, l, l.told && d.flags&flagNonblock != 0)
	if err != nil {
		g.fds.release()
		return err
	}
	conn := &descriptor{object: &connection{fd: fd}, rights: connectionRights & d.inheriting, flags: flags}
	return m.putU32(a.u32(2), g.fds.add(conn))
}

// accept takes the next connection, and waits for one unless the guest does not want to.
func (g *Guest) accept(ctx context.Context, l *listener, nonblock bool) (int, error) {
	for {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch err {
		case nil:
			// Preview 1 has no options of sockets. These two are what Go's net sets: small answers leave at once,
			// and a peer that vanished is found out some day.
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
			return fd, nil
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			return -1, ErrnoMfile // the host's trouble, but the error at which servers wait and try again
		case unix.EINTR, unix.ECONNABORTED, unix.EPROTO, unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENONET, unix.EOPNOTSUPP:
			if ctx.Err() != nil { // what else came is that connection's error, and it is gone: see accept(2)
				return -1, ErrKilled
			}
		case unix.EAGAIN:
			if nonblock {
				return -1, ErrnoAgain
			}
			if err := g.await(ctx, l.fd, unix.POLLIN); err != nil {
				return -1, err
			}
		default:
			return -1, err
		}
	}
}

// connection is the connection that fd must be, with the right.
func (g *Guest) connection(fd uint32, right uint64) (*connection, *descriptor, error) {
	d, err := g.fds.get(fd)
	if err != nil {
		return nil, nil, err
	}
	c, ok := d.object.(*connection)
	switch {
	case !ok:
		return nil, nil, notSocket(d.object)
	case d.rights&right == 0:
		return nil, nil, ErrnoNotcapable
	}
	return c, d, nil
}

func sockRecv(ctx context.Context, g *Guest, m memory, a arguments) error {
	c, d, err := g.connection(a.u32(0), rightFDRead)
	if err != nil {
		return err
	}
	flags := a.u32(3)
	if flags&^(recvPeek|recvWaitAll) != 0 {
		return ErrnoInval
	}
	v, err := buffers(m, a.u32(1), a.u32(2), a.u32(4))
	if err != nil {
		return err
	}
	told, err := m.bytes(a.u32(5), 2)
	if err != nil {
		return err
	}
	t := c.receive(d, 0)
	switch {
	case flags&recvPeek != 0:
		if flags&recvWaitAll != 0 && !t.nonblock {
			if err := g.awaitBytes(ctx, c.fd, v.total()); err != nil {
				return err
			}
		}
		t.flags |= unix.MSG_PEEK
	default:
		t.whole = flags&recvWaitAll != 0
	}
	done, err := t.run(ctx, g, v)
	if flags&recvPeek == 0 { // what was only looked at is received later
		done, err = g.received.add(done, err)
	}
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint16(told, 0) // a stream's data is never cut
	return m.putU32(a.u32(4), done)
}

// awaitBytes waits until a connection has that many bytes to read, or as many as it ever holds, or its end.
func (g *Guest) awaitBytes(ctx context.Context, fd int, n uint64) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, int(min(max(n, 1), maxChunk))); err != nil {
		return err
	}
	err := g.await(ctx, fd, unix.POLLIN)
	if back := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1); err == nil {
		err = back
	}
	return err
}

func sockSend(ctx context.Context, g *Guest, m memory, a arguments) error {
	c, d, err := g.connection(a.u32(0), rightFDWrite)
	if err != nil {
		return err
	}
	if a.u32(3) != 0 { // preview 1 has no flags of sending
		return ErrnoInval
	}
	v, err := buffers(m, a.u32(1), a.u32(2), a.u32(4))
	if err != nil {
		return err
	}
	t := c.send(d)
	done, err := g.sent.add(t.run(ctx, g, v))
	if err != nil {
		return err
	}
	return m.putU32(a.u32(4), done)
}

func sockShutdown(_ context.Context, g *Guest, _ memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	var fd int
	switch o := d.object.(type) {
	case *connection:
		fd = o.fd
	case *listener:
		fd = o.fd
	default:
		return notSocket(d.object)
	}
	if d.rights&rightSockShutdown == 0 {
		return ErrnoNotcapable
	}
	switch a.u32(1) {
	case shutRead:
		return unix.Shutdown(fd, unix.SHUT_RD)
	case shutWrite:
		return unix.Shutdown(fd, unix.SHUT_WR)
	case shutRead | shutWrite:
		return unix.Shutdown(fd, unix.SHUT_RDWR)
	}
	return ErrnoInval
}
