package wasi

import (
	"context"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// buffers checks what a call names: its buffers, and where it wants to read how many bytes were moved.
func buffers(m memory, vecs, n, result uint32) (iovecs, error) {
	if _, err := m.bytes(result, 4); err != nil {
		return iovecs{}, err
	}
	return m.iovecs(vecs, n)
}

func fdRead(ctx context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	if d.rights&rightFDRead == 0 {
		return ErrnoBadf
	}
	v, err := buffers(m, a.u32(1), a.u32(2), a.u32(3))
	if err != nil {
		return err
	}
	var done uint32
	switch o := d.object.(type) {
	case *input:
		done, err = g.readInput(ctx, o, v, d.flags&flagNonblock != 0)
	case *file:
		t := o.transfer(d, unix.SYS_READV, unix.POLLIN)
		done, err = t.run(ctx, g, v)
	case *connection:
		t := o.receive(d, 0)
		done, err = g.received.add(t.run(ctx, g, v))
	default:
		err = ErrnoBadf
	}
	if err != nil {
		return err
	}
	return m.putU32(a.u32(3), done)
}

func fdWrite(ctx context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	if d.rights&rightFDWrite == 0 {
		return ErrnoBadf
	}
	v, err := buffers(m, a.u32(1), a.u32(2), a.u32(3))
	if err != nil {
		return err
	}
	var done uint32
	switch o := d.object.(type) {
	case *output:
		done, err = g.writeOutput(ctx, o, v)
	case *file:
		t := o.transfer(d, unix.SYS_WRITEV, unix.POLLOUT)
		t.whole = true
		done, err = t.run(ctx, g, v)
		g.fds.bulk += int64(done)
	case *connection:
		t := o.send(d)
		done, err = g.sent.add(t.run(ctx, g, v))
	default:
		err = ErrnoBadf
	}
	if err != nil {
		return err
	}
	return m.putU32(a.u32(3), done)
}

func fdPread(ctx context.Context, g *Guest, m memory, a arguments) error {
	return g.positioned(ctx, m, a, rightFDRead, unix.SYS_PREADV)
}

func fdPwrite(ctx context.Context, g *Guest, m memory, a arguments) error {
	return g.positioned(ctx, m, a, rightFDWrite, unix.SYS_PWRITEV)
}

// positioned moves bytes at an offset of a file, and leaves its position.
func (g *Guest) positioned(ctx context.Context, m memory, a arguments, right uint64, call uintptr) error {
	f, d, err := g.fds.file(a.u32(0), right)
	if err != nil {
		return err
	}
	v, err := buffers(m, a.u32(1), a.u32(2), a.u32(4))
	if err != nil {
		return err
	}
	if a.u64(3) > 1<<63-1 {
		return ErrnoInval
	}
	t := f.transfer(d, call, 0)
	t.offset = int64(a.u64(3))
	done, err := t.run(ctx, g, v)
	if right == rightFDWrite {
		g.fds.bulk += int64(done)
	}
	if err != nil {
		return err
	}
	return m.putU32(a.u32(4), done)
}

// direntSize is the size of an entry's head in the guest's memory; the name follows it, without padding.
const direntSize = 24

// fdReaddir fills the buffer with entries. The last may be cut: a full buffer tells the guest that there are
// more, and that it should read again, from the cookie of the last entry it got whole.
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
	err = dir.entries(ctx, a.u64(3), func(e entry) bool {
		var head [direntSize]byte
		binary.LittleEndian.PutUint64(head[0:], e.next)
		binary.LittleEndian.PutUint64(head[8:], e.ino)
		binary.LittleEndian.PutUint32(head[16:], uint32(len(e.name)))
		head[20] = byte(e.kind)
		n := copy(b[used:], head[:])
		n += copy(b[used+n:], e.name)
		used += n
		return n == direntSize+len(e.name)
	})
	if err != nil {
		return err
	}
	return m.putU32(a.u32(4), uint32(used))
}
