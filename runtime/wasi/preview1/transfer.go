package preview1

import (
	"context"
	"encoding/binary"
	"net/netip"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// iovecs checks the buffers of a call, and the address for the number of moved bytes. dropBuffers
// must be called when the call ends.
func (g *Guest) iovecs(m memory, vecs, n, result uint32) (bufs [][]byte, err error) {
	if _, err := m.bytes(result, 4); err != nil {
		return nil, err
	}
	g.buffers, err = m.iovecs(g.buffers[:0], vecs, n)
	if err != nil {
		g.dropBuffers()
	}
	return g.buffers, err
}

// dropBuffers removes the buffers of a call. They are the guest's memory, which may be freed.
func (g *Guest) dropBuffers() {
	clear(g.buffers)
	g.buffers = g.buffers[:0]
}

func fdRead(ctx context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	if d.rights&rightFDRead == 0 {
		return ErrnoBadf
	}
	bufs, err := g.iovecs(m, a.u32(1), a.u32(2), a.u32(3))
	if err != nil {
		return err
	}
	n := 0
	switch o := d.object.(type) {
	case *wasi.Input:
		n, err = o.Read(ctx, bufs, d.nonblock())
	case *wasi.File:
		n, err = o.Read(ctx, bufs, d.nonblock())
	case *wasi.TCP:
		n, err = o.Receive(ctx, bufs, receiveHow(0, d.nonblock()))
	case *wasi.UDP:
		var got wasi.Datagram
		got, err = o.Receive(ctx, bufs, receiveHow(0, d.nonblock()))
		n = got.Size
	default:
		err = ErrnoBadf
	}
	g.dropBuffers()
	if err != nil {
		return err
	}
	return m.putU32(a.u32(3), uint32(n))
}

func fdWrite(ctx context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	if d.rights&rightFDWrite == 0 {
		return ErrnoBadf
	}
	bufs, err := g.iovecs(m, a.u32(1), a.u32(2), a.u32(3))
	if err != nil {
		return err
	}
	n := 0
	switch o := d.object.(type) {
	case *wasi.Output:
		n, err = o.Write(ctx, bufs)
	case *wasi.File:
		n, err = o.Write(ctx, bufs, d.nonblock())
	case *wasi.TCP:
		n, err = o.Send(ctx, bufs, d.nonblock())
	case *wasi.UDP:
		n, err = o.Send(ctx, bufs, netip.AddrPort{}, d.nonblock())
	default:
		err = ErrnoBadf
	}
	g.dropBuffers()
	if err != nil {
		return err
	}
	return m.putU32(a.u32(3), uint32(n))
}

func fdPread(ctx context.Context, g *Guest, m memory, a arguments) error {
	return g.positioned(ctx, m, a, rightFDRead, (*wasi.File).ReadAt)
}

func fdPwrite(ctx context.Context, g *Guest, m memory, a arguments) error {
	return g.positioned(ctx, m, a, rightFDWrite, (*wasi.File).WriteAt)
}

// at moves bytes at an offset of a file.
type at func(f *wasi.File, ctx context.Context, bufs [][]byte, offset int64) (int, error)

// positioned moves bytes at an offset of a file, and does not change its position.
func (g *Guest) positioned(ctx context.Context, m memory, a arguments, right uint64, move at) error {
	f, _, err := g.fds.file(a.u32(0), right)
	if err != nil {
		return err
	}
	bufs, err := g.iovecs(m, a.u32(1), a.u32(2), a.u32(4))
	if err != nil {
		return err
	}
	defer g.dropBuffers()
	if a.u64(3) > 1<<63-1 {
		return ErrnoInval
	}
	n, err := move(f, ctx, bufs, int64(a.u64(3)))
	if err != nil {
		return err
	}
	return m.putU32(a.u32(4), uint32(n))
}

// direntSize is the size of an entry's head in the guest's memory. The name follows it without
// padding.
const direntSize = 24

// fdReaddir fills the buffer with entries. The last one may be cut. A full buffer tells the guest
// that there are more entries. Then it must read again from the cookie of the last complete entry.
func fdReaddir(ctx context.Context, g *Guest, m memory, a arguments) error {
	dir, _, err := g.fds.directory(a.u32(0), rightFDReaddir)
	if err == ErrnoNotdir {
		err = ErrnoBadf
	}
	if err != nil {
		return err
	}
	b, err := m.bytes(a.u32(1), a.u32(2))
	if err != nil {
		return err
	}
	if _, err := m.bytes(a.u32(4), 4); err != nil {
		return err
	}
	used := 0
	err = dir.Entries(ctx, a.u64(3), func(e wasi.Entry) bool {
		var head [direntSize]byte
		binary.LittleEndian.PutUint64(head[0:], e.Next)
		binary.LittleEndian.PutUint64(head[8:], e.Ino)
		binary.LittleEndian.PutUint32(head[16:], uint32(len(e.Name)))
		head[20] = byte(filetypes[e.Type])
		n := copy(b[used:], head[:])
		n += copy(b[used+n:], e.Name)
		used += n
		return n == direntSize+len(e.Name)
	})
	if err != nil {
		return err
	}
	return m.putU32(a.u32(4), uint32(used))
}
