package preview1

import (
	"context"
	"encoding/binary"
	"net/netip"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Flags of receiving (riflags, roflags) and of sock_shutdown (sdflags).
const (
	recvPeek      = 1 // the bytes stay in the socket
	recvWaitAll   = 2 // wait until all buffers are full
	recvTruncated = 1 // the buffers were too small for the datagram

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

// socket is the descriptor fd, which is a socket of any kind and has the right.
func (g *Guest) socket(fd uint32, right uint64) (*descriptor, error) {
	d, err := g.fds.get(fd)
	if err != nil {
		return nil, err
	}
	switch s := d.object.(type) {
	case *wasi.UDP:
	case *wasi.TCP:
		if right&(rightFDRead|rightFDWrite) != 0 && s.State() == wasi.Listening {
			return nil, ErrnoNotconn
		}
	default:
		return nil, notSocket(d.object)
	}
	if right&^d.rights != 0 {
		return nil, ErrnoNotcapable
	}
	return d, nil
}

func sockAccept(ctx context.Context, g *Guest, m memory, a arguments) error {
	return g.accept(ctx, m, a.u32(0), a.u16(1), a.u32(2))
}

func (g *Guest) accept(ctx context.Context, m memory, fd uint32, flags uint16, result uint32) error {
	d, err := g.fds.get(fd)
	if err != nil {
		return err
	}
	l, ok := d.object.(*wasi.TCP)
	switch {
	case !ok:
		if _, udp := d.object.(*wasi.UDP); udp {
			return ErrnoNotsup
		}
		return notSocket(d.object)
	case l.State() != wasi.Listening:
		return ErrnoInval
	case d.rights&rightSockAccept == 0:
		return ErrnoNotcapable
	}
	if flags&^flagNonblock != 0 {
		return ErrnoInval
	}
	if _, err := m.bytes(result, 4); err != nil {
		return err
	}
	c, err := l.Accept(ctx, d.told && d.nonblock())
	if err != nil {
		return err
	}
	return m.putU32(result, g.fds.add(&descriptor{object: c, rights: connectionRights & d.inheriting, flags: flags, told: true}))
}

// receiveHow are the host's options for flags of receiving.
func receiveHow(flags uint32, nonblock bool) (how wasi.Receive) {
	if flags&recvPeek != 0 {
		how |= wasi.Peek
	}
	if flags&recvWaitAll != 0 {
		how |= wasi.WaitAll
	}
	if nonblock {
		how |= wasi.DontWait
	}
	return how
}

func sockRecv(ctx context.Context, g *Guest, m memory, a arguments) error {
	_, err := g.receive(ctx, m, receiving{fd: a.u32(0), vecs: a.u32(1), count: a.u32(2), flags: a.u32(3), size: a.u32(4), told: a.u32(5)})
	return err
}

// receiving is what a call that receives has, as addresses in the guest's memory.
type receiving struct {
	fd, vecs, count, flags uint32
	size, told             uint32 // where its results go: how many bytes, and roflags
}

// receive receives bytes or a datagram, and returns who has sent it. For bytes of a connection,
// that is its other end.
func (g *Guest) receive(ctx context.Context, m memory, r receiving) (from netip.AddrPort, err error) {
	d, err := g.socket(r.fd, rightFDRead)
	if err != nil {
		return from, err
	}
	if r.flags&^(recvPeek|recvWaitAll) != 0 {
		return from, ErrnoInval
	}
	bufs, err := g.iovecs(m, r.vecs, r.count, r.size)
	if err != nil {
		return from, err
	}
	defer g.dropBuffers()
	told, err := m.bytes(r.told, 2)
	if err != nil {
		return from, err
	}
	how := receiveHow(r.flags, d.nonblock())
	n, flags := 0, uint16(0)
	switch s := d.object.(type) {
	case *wasi.TCP:
		if n, err = s.Receive(ctx, bufs, how); err == nil { // the data of a stream is never cut
			from, err = s.Remote()
		}
	case *wasi.UDP:
		var got wasi.Datagram
		got, err = s.Receive(ctx, bufs, how)
		if n, from = got.Size, got.From; got.Truncated {
			flags = recvTruncated
		}
	}
	if err != nil {
		return from, err
	}
	binary.LittleEndian.PutUint16(told, flags)
	return from, m.putU32(r.size, uint32(n))
}

func sockSend(ctx context.Context, g *Guest, m memory, a arguments) error {
	return g.send(ctx, m, sending{fd: a.u32(0), vecs: a.u32(1), count: a.u32(2), flags: a.u32(3), size: a.u32(4)})
}

// sending is what a call that sends has, as addresses in the guest's memory.
type sending struct {
	fd, vecs, count, flags uint32
	to                     netip.AddrPort // the zero AddrPort for the socket's other end
	size                   uint32         // where the number of bytes goes
}

// send sends bytes or a datagram. A connection has one other end: where it is sent to is ignored,
// as by the kernel.
func (g *Guest) send(ctx context.Context, m memory, s sending) error {
	d, err := g.socket(s.fd, rightFDWrite)
	if err != nil {
		return err
	}
	if s.flags != 0 { // preview 1 has no flags for sending
		return ErrnoInval
	}
	bufs, err := g.iovecs(m, s.vecs, s.count, s.size)
	if err != nil {
		return err
	}
	defer g.dropBuffers()
	n := 0
	switch o := d.object.(type) {
	case *wasi.TCP:
		n, err = o.Send(ctx, bufs, d.nonblock())
	case *wasi.UDP:
		n, err = o.Send(ctx, bufs, s.to, d.nonblock())
	}
	if err != nil {
		return err
	}
	return m.putU32(s.size, uint32(n))
}

func sockShutdown(_ context.Context, g *Guest, _ memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	o, ok := d.object.(interface{ Shutdown(wasi.Shutdown) error })
	if !ok {
		if _, udp := d.object.(*wasi.UDP); udp {
			return ErrnoNotsup
		}
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
