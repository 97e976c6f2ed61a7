package wasi

import (
	"context"
	"encoding/binary"
)

// transfer moves one buffer.
type transfer func(ctx context.Context, p []byte) (int, error)

// scatter moves the buffers of a call one by one, and reports the sum at result. An error after some bytes
// moved is left to the guest's next call, as in any Unix.
func scatter(ctx context.Context, m memory, vecs, n, result uint32, move transfer) error {
	v, err := m.iovecs(vecs, n)
	if err != nil {
		return err
	}
	if _, err := m.bytes(result, 4); err != nil {
		return err
	}
	var done uint32
	for i := range v.len() {
		b, err := v.buffer(i)
		if err != nil {
			return err
		}
		if len(b) == 0 {
			continue
		}
		moved, err := move(ctx, b)
		done += uint32(moved)
		if err != nil && (done == 0 || ctx.Err() != nil) {
			return err
		}
		if err != nil || moved < len(b) {
			break
		}
	}
	return m.putU32(result, done)
}

func fdRead(ctx context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	var move transfer
	switch o := d.object.(type) {
	case *input:
		move = o.read
	case *file:
		move = func(ctx context.Context, p []byte) (int, error) { return o.read(ctx, p, d.flags) }
	}
	if move == nil || d.rights&rightFDRead == 0 {
		return ErrnoBadf
	}
	return scatter(ctx, m, a.u32(1), a.u32(2), a.u32(3), move)
}

func fdWrite(ctx context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	var move transfer
	switch o := d.object.(type) {
	case *output:
		move = o.write
	case *file:
		move = func(ctx context.Context, p []byte) (int, error) { return o.write(ctx, p, d.flags) }
	}
	if move == nil || d.rights&rightFDWrite == 0 {
		return ErrnoBadf
	}
	return scatter(ctx, m, a.u32(1), a.u32(2), a.u32(3), move)
}

func fdPread(ctx context.Context, g *Guest, m memory, a arguments) error {
	f, _, err := g.fds.file(a.u32(0), rightFDRead)
	if err != nil {
		return err
	}
	at := int64(a.u64(3))
	return scatter(ctx, m, a.u32(1), a.u32(2), a.u32(4), func(ctx context.Context, p []byte) (int, error) {
		n, err := f.readAt(ctx, p, at)
		at += int64(n)
		return n, err
	})
}

func fdPwrite(ctx context.Context, g *Guest, m memory, a arguments) error {
	f, _, err := g.fds.file(a.u32(0), rightFDWrite)
	if err != nil {
		return err
	}
	at := int64(a.u64(3))
	return scatter(ctx, m, a.u32(1), a.u32(2), a.u32(4), func(ctx context.Context, p []byte) (int, error) {
		n, err := f.writeAt(ctx, p, at)
		at += int64(n)
		return n, err
	})
}

// direntSize is the size of an entry's head in the guest's memory; the name follows it, without padding.
const direntSize = 24

// fdReaddir fills the buffer with entries. The last may be cut: a full buffer tells the guest that there are
// more, and that it should read again, from the cookie of the last entry it got whole.
func fdReaddir(_ context.Context, g *Guest, m memory, a arguments) error {
	dir, _, err := g.fds.directory(a.u32(0))
	if err != nil {
		return ErrnoBadf
	}
	b, err := m.bytes(a.u32(1), a.u32(2))
	if err != nil {
		return err
	}
	if _, err := m.bytes(a.u32(4), 4); err != nil {
		return err
	}
	used := 0
	err = dir.entries(a.u64(3), func(e entry) bool {
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
