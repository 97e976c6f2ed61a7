package preview1

import (
	"context"
	"encoding/binary"
	"io"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func fdClose(ctx context.Context, g *Guest, _ memory, a arguments) error {
	return g.fds.close(ctx, a.u32(0))
}

func fdRenumber(ctx context.Context, g *Guest, _ memory, a arguments) error {
	return g.fds.renumber(ctx, a.u32(0), a.u32(1))
}

// fdAdvise accepts advice for any file, and ignores it, because it only concerns speed.
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
	return f.Allocate(ctx, a.u64(1), a.u64(2))
}

func fdDatasync(ctx context.Context, g *Guest, _ memory, a arguments) error {
	return g.sync(ctx, a.u32(0), rightFDDatasync, true)
}

func fdSync(ctx context.Context, g *Guest, _ memory, a arguments) error {
	return g.sync(ctx, a.u32(0), rightFDSync, false)
}

func (g *Guest) sync(ctx context.Context, fd uint32, right uint64, dataOnly bool) error {
	d, err := g.fds.get(fd)
	if err != nil {
		return err
	}
	o, ok := d.object.(interface {
		Sync(ctx context.Context, dataOnly bool) error
	})
	switch {
	case !ok:
		return ErrnoInval // the kernel's error for a pipe
	case d.rights&right == 0:
		return ErrnoNotcapable
	}
	return o.Sync(ctx, dataOnly)
}

// fdstatSize is the size of an fdstat in the guest's memory, in bytes.
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
	d.told = true
	clear(b)
	b[0] = byte(filetypeOf(d.object))
	binary.LittleEndian.PutUint16(b[2:], d.flags)
	binary.LittleEndian.PutUint64(b[8:], d.rights)
	binary.LittleEndian.PutUint64(b[16:], d.inheriting)
	return nil
}

// fdFdstatSetFlags changes the two flags that can be changed. The other flags are fixed when a file
// is opened.
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
	if f, ok := d.object.(*wasi.File); ok {
		if err := f.SetAppend(flags&flagAppend != 0); err != nil {
			return err
		}
	}
	d.flags, d.told = flags, true
	return nil
}

// fdFdstatSetRights removes rights. The guest cannot get them back.
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
	st, err := d.object.Stat()
	if err != nil {
		return err
	}
	return m.putStat(a.u32(1), st)
}

func fdFilestatSetSize(ctx context.Context, g *Guest, _ memory, a arguments) error {
	f, _, err := g.fds.file(a.u32(0), rightFDWrite|rightFDFilestatSetSize)
	if err != nil {
		return err
	}
	if a.u64(1) > 1<<63-1 {
		return ErrnoInval
	}
	return f.SetSize(ctx, int64(a.u64(1)))
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
	case *wasi.File:
		return o.SetTimes(times)
	case *wasi.Directory:
		return o.SetTimes(ctx, times)
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

// newTimes are the times that a guest sets. Each of the two is set to a value, set to now, or not
// changed.
func newTimes(atim, mtim uint64, flags uint16) (times wasi.Times, err error) {
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

// prestatSocket is the tag of a preopened descriptor that is not a directory. Preview 1 defines
// only the tag of directories, 0. With this tag, the C libraries and Go continue their search for
// preopened directories after a socket. An error would end wasi-libc's search.
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
	if dir, ok := d.object.(*wasi.Directory); ok {
		binary.LittleEndian.PutUint32(b[4:], uint32(len(dir.Path())))
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
	dir, ok := d.object.(*wasi.Directory)
	if !ok {
		return nil // some guests ask for an empty name without checking the tag
	}
	path := dir.Path()
	if uint64(a.u32(2)) < uint64(len(path)) {
		return ErrnoNametoolong
	}
	b, err := m.bytes(a.u32(1), uint32(len(path)))
	if err != nil {
		return err
	}
	copy(b, path)
	return nil
}

func fdSeek(_ context.Context, g *Guest, m memory, a arguments) error {
	right := uint64(rightFDSeek)
	if a.u64(1) == 0 && a.u32(2) == io.SeekCurrent {
		right = 0 // it only reads the position
	}
	f, _, err := g.fds.file(a.u32(0), right)
	if err != nil {
		return err
	}
	whence := a.u32(2) // set, current, end: the same numbers as in io.Seeker
	if whence > io.SeekEnd {
		return ErrnoInval
	}
	return seek(f, m, int64(a.u64(1)), int(whence), a.u32(3))
}

func fdTell(_ context.Context, g *Guest, m memory, a arguments) error {
	f, _, err := g.fds.file(a.u32(0), rightFDTell)
	if err != nil {
		return err
	}
	return seek(f, m, 0, io.SeekCurrent, a.u32(1))
}

// seek changes the file's position and writes it to result.
func seek(f *wasi.File, m memory, offset int64, whence int, result uint32) error {
	if _, err := m.bytes(result, 8); err != nil {
		return err
	}
	at, err := f.Seek(offset, whence)
	if err != nil {
		return err
	}
	return m.putU64(result, uint64(at))
}

// filestatSize is the size of a filestat in the guest's memory, in bytes.
const filestatSize = 64

// putStat writes a filestat.
func (m memory) putStat(ptr uint32, s wasi.Stat) error {
	b, err := m.bytes(ptr, filestatSize)
	if err != nil {
		return err
	}
	clear(b)
	binary.LittleEndian.PutUint64(b[0:], s.Dev)
	binary.LittleEndian.PutUint64(b[8:], s.Ino)
	b[16] = byte(filetypes[s.Type])
	binary.LittleEndian.PutUint64(b[24:], s.Links)
	binary.LittleEndian.PutUint64(b[32:], s.Size)
	binary.LittleEndian.PutUint64(b[40:], s.AccessTime)
	binary.LittleEndian.PutUint64(b[48:], s.ModTime)
	binary.LittleEndian.PutUint64(b[56:], s.ChangeTime)
	return nil
}
