package wasi

import (
	"context"
	"encoding/binary"
	"io"

	"golang.org/x/sys/unix"
)

func fdClose(ctx context.Context, g *Guest, _ memory, a arguments) error {
	return g.fds.close(ctx, a.u32(0))
}

func fdRenumber(ctx context.Context, g *Guest, _ memory, a arguments) error {
	return g.fds.renumber(ctx, a.u32(0), a.u32(1))
}

// fdAdvise takes the advice of any file and follows none: it is only ever about speed.
func fdAdvise(_ context.Context, g *Guest, _ memory, a arguments) error {
	if a.u32(3) > 5 { // normal, sequential, random, willneed, dontneed, noreuse
		return ErrnoInval
	}
	_, _, err := g.fds.file(a.u32(0), rightFDAdvise)
	return err
}

func fdAllocate(ctx context.Context, g *Guest, _ memory, a arguments) error {
	f, _, err := g.fds.file(a.u32(0), rightFDWrite|rightFDAllocate)
	if err != nil {
		return err
	}
	g.fds.bulk += int64(min(a.u64(2), slowSize))
	return f.allocate(ctx, &g.pace, a.u64(1), a.u64(2))
}

func fdDatasync(ctx context.Context, g *Guest, _ memory, a arguments) error {
	return g.sync(ctx, a.u32(0), rightFDDatasync, unix.Fdatasync)
}

func fdSync(ctx context.Context, g *Guest, _ memory, a arguments) error {
	return g.sync(ctx, a.u32(0), rightFDSync, unix.Fsync)
}

func (g *Guest) sync(ctx context.Context, fd uint32, right uint64, do func(int) error) error {
	d, err := g.fds.get(fd)
	if err != nil {
		return err
	}
	switch o := d.object.(type) {
	case *file:
		if d.rights&right == 0 {
			return ErrnoNotcapable
		}
		return g.flush(ctx, do, o.fd)
	case *directory:
		if d.rights&right == 0 {
			return ErrnoNotcapable
		}
		if err := o.open(); err != nil {
			return err
		}
		return g.flush(ctx, do, o.stream)
	}
	return ErrnoInval // as the kernel has it for a pipe
}

func (g *Guest) flush(ctx context.Context, do func(int) error, fd int) error {
	return aside(ctx, g.fds.files, func(fds []int) error { return do(fds[0]) }, fd)
}

// fdstatSize is the size of an fdstat in the guest's memory, bytes.
const fdstatSize = 24

func fdFdstatGet(_ context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	b, err := m.bytes(a.u32(1), fdstatSize)
	if err != nil {
		return err
	}
	if l, ok := d.object.(*listener); ok {
		l.told = true
	}
	clear(b)
	b[0] = byte(d.object.filetype())
	binary.LittleEndian.PutUint16(b[2:], d.flags)
	binary.LittleEndian.PutUint64(b[8:], d.rights)
	binary.LittleEndian.PutUint64(b[16:], d.inheriting)
	return nil
}

// fdFdstatSetFlags changes the two flags that can be changed. The others are fixed when a file is opened.
func fdFdstatSetFlags(_ context.Context, g *Guest, _ memory, a arguments) error {
	const changeable = flagAppend | flagNonblock
	d, err := g.fds.any(a.u32(0), rightFDFdstatSetFlags)
	if err != nil {
		return err
	}
	flags := a.u16(1)
	if flags&^allFDFlags != 0 {
		return ErrnoInval
	}
	if (flags^d.flags)&^changeable != 0 {
		return ErrnoNotsup
	}
	switch o := d.object.(type) {
	case *file:
		if err := o.setFlags(flags); err != nil {
			return err
		}
	case *listener:
		o.told = true
	}
	d.flags = flags
	return nil
}

// fdFdstatSetRights gives rights up. They cannot be had back.
func fdFdstatSetRights(_ context.Context, g *Guest, _ memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	rights, inheriting := a.u64(1), a.u64(2)
	if rights&^d.rights != 0 || inheriting&^d.inheriting != 0 {
		return ErrnoNotcapable
	}
	d.rights, d.inheriting = rights, inheriting
	return nil
}

func fdFilestatGet(_ context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.any(a.u32(0), rightFDFilestatGet)
	if err != nil {
		return err
	}
	st, err := d.object.stat()
	if err != nil {
		return err
	}
	return st.put(m, a.u32(1))
}

func fdFilestatSetSize(ctx context.Context, g *Guest, _ memory, a arguments) error {
	f, _, err := g.fds.file(a.u32(0), rightFDWrite|rightFDFilestatSetSize)
	if err != nil {
		return err
	}
	if a.u64(1) > 1<<63-1 {
		return ErrnoInval
	}
	size := int64(a.u64(1))
	g.fds.bulk += min(size, slowSize)
	var st unix.Stat_t
	if unix.Fstat(f.fd, &st) == nil && st.Size > size && slow(&st) {
		return aside(ctx, g.fds.files, func(fds []int) error { return unix.Ftruncate(fds[0], size) }, f.fd)
	}
	return unix.Ftruncate(f.fd, size)
}

func fdFilestatSetTimes(ctx context.Context, g *Guest, _ memory, a arguments) error {
	times, err := newTimes(a.u64(1), a.u64(2), a.u16(3))
	if err != nil {
		return err
	}
	d, err := g.fds.any(a.u32(0), rightFDFilestatSetTimes)
	if err != nil {
		return err
	}
	switch o := d.object.(type) {
	case *file:
		return o.setTimes(times)
	case *directory:
		p, err := g.ns.walk(ctx, o.place(), ".", true)
		if err != nil {
			return err
		}
		return p.setTimes(times)
	}
	return ErrnoInval
}

// Flags of the functions that set times (fstflags).
const (
	setAtim = 1 << iota
	setAtimNow
	setMtim
	setMtimNow
)

// newTimes is what utimensat takes. Each of the two times is set, set to now, or left.
func newTimes(atim, mtim uint64, flags uint16) (times [2]unix.Timespec, err error) {
	const atimBoth, mtimBoth = setAtim | setAtimNow, setMtim | setMtimNow
	if flags&atimBoth == atimBoth || flags&mtimBoth == mtimBoth || flags&^(atimBoth|mtimBoth) != 0 {
		return times, ErrnoInval
	}
	one := func(ns uint64, set, now bool) unix.Timespec {
		switch {
		case set:
			return unix.NsecToTimespec(int64(min(ns, 1<<63-1)))
		case now:
			return unix.Timespec{Nsec: unix.UTIME_NOW}
		}
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	times[0] = one(atim, flags&setAtim != 0, flags&setAtimNow != 0)
	times[1] = one(mtim, flags&setMtim != 0, flags&setMtimNow != 0)
	return times, nil
}

// prestatSocket is the tag of a preopened descriptor that is no directory. Preview 1 names none but that of
// directories, 0; it is this tag, and no error, that makes the C libraries' and Go's search for preopened
// directories go on behind a socket (an error ends wasi-libc's).
const prestatSocket = 1

func fdPrestatGet(_ context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	if !d.preopened {
		return ErrnoBadf
	}
	b, err := m.bytes(a.u32(1), 8)
	if err != nil {
		return err
	}
	clear(b)
	if dir, ok := d.object.(*directory); ok {
		binary.LittleEndian.PutUint32(b[4:], uint32(len(dir.at.guest)))
	} else {
		b[0] = prestatSocket
	}
	return nil
}

func fdPrestatDirName(_ context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	if !d.preopened {
		return ErrnoBadf
	}
	dir, ok := d.object.(*directory)
	if !ok {
		return nil // some ask without a look at the tag: the name of no bytes that they were told of
	}
	if uint64(a.u32(2)) < uint64(len(dir.at.guest)) {
		return ErrnoNametoolong
	}
	b, err := m.bytes(a.u32(1), uint32(len(dir.at.guest)))
	if err != nil {
		return err
	}
	copy(b, dir.at.guest)
	return nil
}

func fdSeek(_ context.Context, g *Guest, m memory, a arguments) error {
	right := uint64(rightFDSeek)
	if a.u64(1) == 0 && a.u32(2) == io.SeekCurrent {
		right = 0 // it only tells
	}
	f, _, err := g.fds.file(a.u32(0), right)
	if err != nil {
		return err
	}
	whence := a.u32(2) // set, current, end: the numbers of io.Seeker
	if whence > io.SeekEnd {
		return ErrnoInval
	}
	return f.seek(m, int64(a.u64(1)), int(whence), a.u32(3))
}

func fdTell(_ context.Context, g *Guest, m memory, a arguments) error {
	f, _, err := g.fds.file(a.u32(0), rightFDTell)
	if err != nil {
		return err
	}
	return f.seek(m, 0, io.SeekCurrent, a.u32(1))
}

// seek moves the file's position and writes it to result.
func (f *file) seek(m memory, offset int64, whence int, result uint32) error {
	if _, err := m.bytes(result, 8); err != nil {
		return err
	}
	at, err := unix.Seek(f.fd, offset, whence)
	if err != nil {
		return err
	}
	return m.putU64(result, uint64(at))
}
