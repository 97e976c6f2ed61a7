package wasi

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

// Flags of path_open (oflags).
const (
	openCreate = 1 << iota
	openDirectoryOnly
	openExclusive
	openTruncate
	allOpenFlags = 1<<iota - 1
)

// opening is what a guest asked path_open for.
type opening struct {
	oflags     uint16
	fdflags    uint16
	rights     uint64
	inheriting uint64
}

func (o opening) creates() bool   { return o.oflags&openCreate != 0 }
func (o opening) exclusive() bool { return o.creates() && o.oflags&openExclusive != 0 }
func (o opening) truncates() bool { return o.oflags&openTruncate != 0 }
func (o opening) writes() bool    { return o.rights&rightFDWrite != 0 }

func (o opening) directory() bool { return o.oflags&openDirectoryOnly != 0 }

// changes says that the opening would change what is there.
func (o opening) changes() bool { return o.writes() || o.truncates() || o.creates() }

func pathOpen(ctx context.Context, g *Guest, m memory, a arguments) error {
	o := opening{oflags: a.u16(4), rights: a.u64(5), inheriting: a.u64(6), fdflags: a.u16(7)}
	if o.oflags&^allOpenFlags != 0 || o.fdflags&^allFDFlags != 0 || o.creates() && o.directory() {
		return ErrnoInval
	}
	if _, err := m.bytes(a.u32(8), 4); err != nil {
		return err
	}
	dir, d, err := g.fds.directory(a.u32(0), rightPathOpen)
	if err != nil {
		return err
	}
	if err := o.allowed(d); err != nil {
		return err
	}
	if o.rights&rightPathCreateFile != 0 {
		// Go's os.Root opens its directories without this right, and truncates files below them. Who may make
		// files there has it; who wants to be without it can give it up (fd_fdstat_set_rights).
		o.rights |= rightPathFilestatSetSize & d.inheriting
	}
	name, err := m.path(a.u32(2), a.u32(3))
	if err != nil {
		return err
	}
	if err := g.fds.reserve(); err != nil {
		return err
	}
	opened, err := g.open(ctx, dir, name, a.u32(1)&lookupFollow != 0, o)
	if err != nil {
		g.fds.release()
		return err
	}
	return m.putU32(a.u32(8), g.fds.add(opened))
}

// allowed says whether the rights of the directory cover the opening. Rights that no file or directory has are
// asked for by some, and given to none.
func (o opening) allowed(dir *descriptor) error {
	const known = dirRights | fileRights
	switch {
	case (o.rights|o.inheriting)&known&^dir.inheriting != 0,
		o.creates() && dir.rights&rightPathCreateFile == 0,
		o.truncates() && dir.rights&rightPathFilestatSetSize == 0:
		return ErrnoNotcapable
	}
	return nil
}

// open opens a path of the guest, below one of its directories.
func (g *Guest) open(ctx context.Context, dir *directory, name string, follow bool, o opening) (*descriptor, error) {
	if p, ok := g.ns.direct(dir, name); ok && !(p.mnt.readOnly && o.changes()) {
		d, err := p.openDirect(ctx, o, g.fileSystems)
		if err == nil || err == ErrnoNoent {
			return d, err
		}
	}
	p, err := g.ns.walk(ctx, dir.place(), name, follow && !o.exclusive())
	if err != nil {
		return nil, err
	}
	return p.open(ctx, o, g.fileSystems)
}

// open opens what a walk found.
func (p place) open(ctx context.Context, o opening, fs fileSystems) (*descriptor, error) {
	switch {
	case p.info == nil && !o.creates():
		return nil, ErrnoNoent
	case p.info == nil && p.slashed:
		return nil, ErrnoIsdir
	case p.info != nil && o.exclusive():
		return nil, ErrnoExist
	case p.info != nil && p.info.isLink():
		return nil, ErrnoLoop // it was not to be followed
	case p.info != nil && p.info.isDir():
		return p.openDirectory(o)
	case o.directory():
		return nil, ErrnoNotdir
	case p.mnt.readOnly && (o.writes() || o.truncates() || p.info == nil):
		return nil, ErrnoRofs
	case p.info == nil && p.level() > maxLevels:
		return nil, ErrnoNametoolong
	}
	if p.info != nil {
		if err := openable(&p.info.Stat_t); err != nil {
			return nil, err
		}
	}
	dir, err := p.handle()
	if err != nil {
		return nil, err
	}
	if p.info.slow() {
		if err := p.empty(ctx, o); err != nil {
			return nil, err
		}
	}
	fd, err := openBelow(dir, p.rel, o.hostFlags(), 0o666)
	if err != nil {
		return nil, err
	}
	return p.adopt(fd, o, fs)
}

// empty empties a large file, aside, that the opening truncates.
func (p place) empty(ctx context.Context, o opening) error {
	if !o.truncates() || o.exclusive() || o.directory() {
		return nil
	}
	dir, err := p.handle()
	if err != nil {
		return err
	}
	return aside(ctx, p.ns.files, func(fds []int) error {
		fd, err := openBelow(fds[0], p.rel, unix.O_WRONLY|unix.O_TRUNC|unix.O_NONBLOCK, 0)
		if err == nil {
			_ = unix.Close(fd) // nothing was written to it
		}
		return err
	}, dir)
}

func (p place) openDirectory(o opening) (*descriptor, error) {
	if o.changes() {
		return nil, ErrnoIsdir
	}
	dir, err := openDirectory(p)
	if err != nil {
		return nil, err
	}
	return o.directoryDescriptor(dir), nil
}

func (o opening) directoryDescriptor(d *directory) *descriptor {
	return &descriptor{
		object:     d,
		rights:     o.rights & dirRights,
		inheriting: o.inheriting & (dirRights | fileRights),
		flags:      o.fdflags,
	}
}

// adopt makes a descriptor of what was opened at p, after a last look at what it is.
func (p place) adopt(fd int, o opening, fs fileSystems) (*descriptor, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil {
		err = openable(&st)
	}
	if err == nil {
		err = fs.check(fd, st.Dev)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	kind := typeOf(st.Mode)
	if kind == typeDirectory {
		if err := p.ns.roomFor(p.guest); err != nil {
			return nil, errors.Join(err, unix.Close(fd))
		}
		return o.directoryDescriptor(newDirectory(p, fd)), nil
	}
	f := &file{fd: fd, kind: kind, readOnly: p.mnt.readOnly, large: slow(&st)}
	return &descriptor{object: f, rights: o.rights & fileRights, flags: o.fdflags}, nil
}

// hostFlags are the kernel's flags of the opening. O_NONBLOCK keeps the opening of a FIFO from waiting and means
// nothing to a regular file.
func (o opening) hostFlags() int {
	flags := unix.O_RDONLY
	switch {
	case o.writes() && o.rights&rightFDRead != 0:
		flags = unix.O_RDWR
	case o.writes():
		flags = unix.O_WRONLY
	}
	if o.creates() {
		flags |= unix.O_CREAT
	}
	if o.exclusive() {
		flags |= unix.O_EXCL
	}
	if o.truncates() {
		flags |= unix.O_TRUNC
	}
	if o.directory() {
		flags |= unix.O_DIRECTORY
	}
	if o.fdflags&flagAppend != 0 {
		flags |= unix.O_APPEND
	}
	if o.fdflags&flagDsync != 0 {
		flags |= unix.O_DSYNC
	}
	if o.fdflags&(flagSync|flagRsync) != 0 {
		flags |= unix.O_SYNC
	}
	return flags | unix.O_NONBLOCK
}
