package wasi

import (
	"context"
	"encoding/binary"
	"io"

	"golang.org/x/sys/unix"
)

func fdClose(_ context.Context, g *Guest, _ memory, a arguments) error {
	return g.fds.close(a.u32(0))
}

func fdRenumber(_ context.Context, g *Guest, _ memory, a arguments) error {
	return g.fds.renumber(a.u32(0), a.u32(1))
}

// fdAdvise takes the advice of any file and follows none: it is only ever about speed.
func fdAdvise(_ context.Context, g *Guest, _ memory, a arguments) error {
	if a.u32(3) > 5 { // normal, sequential, random, willneed, dontneed, noreuse
		return ErrnoInval
	}
	_, _, err := g.fds.file(a.u32(0), 0)
	return err
}

func fdAllocate(_ context.Context, g *Guest, _ memory, a arguments) error {
	f, _, err := g.fds.file(a.u32(0), rightFDWrite)
	if err != nil {
		return err
	}
	return f.allocate(a.u64(1), a.u64(2))
}

func fdDatasync(_ context.Context, g *Guest, _ memory, a arguments) error {
	return g.sync(a.u32(0), unix.Fdatasync)
}

func fdSync(_ context.Context, g *Guest, _ memory, a arguments) error {
	return g.sync(a.u32(0), unix.Fsync)
}

func (g *Guest) sync(fd uint32, do func(int) error) error {
	d, err := g.fds.get(fd)
	if err != nil {
		return err
	}
	switch o := d.object.(type) {
	case *file:
		return do(int(o.f.Fd()))
	case *directory:
		f, err := o.open()
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // nothing was written to it
		return do(int(f.Fd()))
	}
	return ErrnoInval // as the kernel has it for a pipe
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
	d, err := g.fds.get(a.u32(0))
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
	if f, ok := d.object.(*file); ok {
		if err := f.setFlags(flags); err != nil {
			return err
		}
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
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	st, err := d.object.stat()
	if err != nil {
		return err
	}
	return st.put(m, a.u32(1))
}

func fdFilestatSetSize(_ context.Context, g *Guest, _ memory, a arguments) error {
	f, _, err := g.fds.file(a.u32(0), rightFDWrite)
	if err != nil {
		return err
	}
	if a.u64(1) > 1<<62 {
		return ErrnoInval
	}
	return f.f.Truncate(int64(a.u64(1)))
}

func fdFilestatSetTimes(_ context.Context, g *Guest, _ memory, a arguments) error {
	times, err := newTimes(a.u64(1), a.u64(2), a.u16(3))
	if err != nil {
		return err
	}
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	switch o := d.object.(type) {
	case *file:
		if o.readOnly {
			return ErrnoRofs
		}
		return futimes(o.f, times)
	case *directory:
		p, err := g.ns.walk(o.place(), ".", true)
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

func fdPrestatGet(_ context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	if d.preopen == "" {
		return ErrnoBadf
	}
	b, err := m.bytes(a.u32(1), 8)
	if err != nil {
		return err
	}
	clear(b) // a tag of 0 is a directory, and there is no other
	binary.LittleEndian.PutUint32(b[4:], uint32(len(d.preopen)))
	return nil
}

func fdPrestatDirName(_ context.Context, g *Guest, m memory, a arguments) error {
	d, err := g.fds.get(a.u32(0))
	if err != nil {
		return err
	}
	if d.preopen == "" {
		return ErrnoBadf
	}
	if uint64(a.u32(2)) < uint64(len(d.preopen)) {
		return ErrnoNametoolong
	}
	b, err := m.bytes(a.u32(1), uint32(len(d.preopen)))
	if err != nil {
		return err
	}
	copy(b, d.preopen)
	return nil
}

func fdSeek(_ context.Context, g *Guest, m memory, a arguments) error {
	f, _, err := g.fds.file(a.u32(0), 0)
	if err != nil {
		return err
	}
	whence := a.u32(2) // set, current, end: the numbers of io.Seeker
	if whence > io.SeekEnd {
		return ErrnoInval
	}
	if _, err := m.bytes(a.u32(3), 8); err != nil {
		return err
	}
	at, err := f.f.Seek(int64(a.u64(1)), int(whence))
	if err != nil {
		return err
	}
	return m.putU64(a.u32(3), uint64(at))
}

func fdTell(_ context.Context, g *Guest, m memory, a arguments) error {
	f, _, err := g.fds.file(a.u32(0), 0)
	if err != nil {
		return err
	}
	at, err := f.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	return m.putU64(a.u32(1), uint64(at))
}
