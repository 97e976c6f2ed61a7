package preview1

import (
	"context"
	"encoding/binary"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Flags of sock_recv (riflags) and sock_shutdown (sdflags).
const (
	recvPeek    = 1 // the bytes stay in the connection
	recvWaitAll = 2 // wait until all buffers are full

	shutRead  = 1
	shutWrite = 2
)

// notSocket is the error for a descriptor that is no socket.
func notSocket(o wasi.Object) error {
	if _, ok := o.(*wasi.Directory); ok {
		return ErrnoBadf // as for all functions that move bytes
	}
	return ErrnoNotsock
}

// tcp is the socket of TCP with the number fd. It must have the right, and be a connection or
// listening socket if the right is for one.
func (g *Guest) tcp(fd uint32, right uint64) (*wasi.TCP, *descriptor, error) {
	d, err := g.fds.get(fd)
	if err != nil {
		return nil, nil, err
	}
	t, ok := d.object.(*wasi.TCP)
	switch {
	case !ok:
		return nil, nil, notSocket(d.object)
	case right == rightSockAccept && t.State() != wasi.Listening:
		return nil, nil, ErrnoInval
	case right&(rightFDRead|rightFDWrite) != 0 && t.State() == wasi.Listening:
		return nil, nil, ErrnoNotconn
	case d.rights&right == 0:
		return nil, nil, ErrnoNotcapable
	}
	return t, d, nil
}

func sockAccept(ctx context.Context, g *Guest, m memory, a arguments) error {
	l, d, err := g.tcp(a.u32(0), rightSockAccept)
	if err != nil {
		return err
	}
	flags := a.u16(1)
	if flags&^flagNonblock != 0 {
		return ErrnoInval
	}
	if _, err := m.bytes(a.u32(2), 4); err != nil {
		return err
	}
	c, err := l.Accept(ctx, d.told && d.nonblock())
	if err != nil {
		return err
	}
	return m.putU32(a.u32(2), g.fds.add(&descriptor{object: c, rights: connectionRights & d.inheriting, flags: flags}))
}

func sockRecv(ctx context.Context, g *Guest, m memory, a arguments) error {
	c, d, err := g.tcp(a.u32(0), rightFDRead)
	if err != nil {
		return err
	}
	flags := a.u32(3)
	if flags&^(recvPeek|recvWaitAll) != 0 {
		return ErrnoInval
	}
	bufs, err := g.iovecs(m, a.u32(1), a.u32(2), a.u32(4))
	if err != nil {
		return err
	}
	defer g.dropBuffers()
	told, err := m.bytes(a.u32(5), 2)
	if err != nil {
		return err
	}
	var how wasi.Receive
	if flags&recvPeek != 0 {
		how |= wasi.Peek
	}
	if flags&recvWaitAll != 0 {
		how |= wasi.WaitAll
	}
	if d.nonblock() {
		how |= wasi.DontWait
	}
	n, err := c.Receive(ctx, bufs, how)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint16(told, 0) // the data of a stream is never cut
	return m.putU32(a.u32(4), uint32(n))
}

func sockSend(ctx context.Context, g *Guest, m memory, a arguments) error {
	c, d, err := g.tcp(a.u32(0), rightFDWrite)
	if err != nil {
		return err
	}
	if a.u32(3) != 0 { // preview 1 has no flags for sending
		return ErrnoInval
	}
	bufs, err := g.iovecs(m, a.u32(1), a.u32(2), a.u32(4))
	if err != nil {
		return err
	}
	defer g.dropBuffers()
	n, err := c.Send(ctx, bufs, d.nonblock())
	if err != nil {
		return err
	}
	return m.putU32(a.u32(4), uint32(n))
}

func sockShutdown(_ context.Context, g *Guest, _ memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	o, ok := d.object.(interface{ Shutdown(wasi.Shutdown) error })
	if !ok {
		return notSocket(d.object)
	}
	if d.rights&rightSockShutdown == 0 {
		return ErrnoNotcapable
	}
	var how wasi.Shutdown
	switch a.u32(1) {
	case shutRead:
		how = wasi.ShutdownReceive
	case shutWrite:
		how = wasi.ShutdownSend
	case shutRead | shutWrite:
		how = wasi.ShutdownReceive | wasi.ShutdownSend
	}
	return o.Shutdown(how)
}
