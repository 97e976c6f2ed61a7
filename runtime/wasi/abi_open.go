package wasi

import (
	"context"
	"errors"
	"io/fs"
	"os"

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

func pathOpen(_ context.Context, g *Guest, m memory, a arguments) error {
	o := opening{oflags: a.u16(4), rights: a.u64(5), inheriting: a.u64(6), fdflags: a.u16(7)}
	if o.oflags&^allOpenFlags != 0 || o.fdflags&^allFDFlags != 0 {
		return ErrnoInval
	}
	if o.creates() && o.oflags&openDirectoryOnly != 0 {
		return ErrnoInval
	}
	if _, err := m.bytes(a.u32(8), 4); err != nil {
		return err
	}
	_, dir, err := g.fds.directory(a.u32(0))
	if err != nil {
		return err
	}
	if o.truncates() && dir.rights&rightPathFilestatSetSize == 0 {
		return ErrnoNotcapable
	}
	p, err := g.walkArgs(m, a.u32(0), a.u32(2), a.u32(3), a.u32(1)&lookupFollow != 0 && !o.exclusive())
	if err != nil {
		return err
	}
	if g.fds.full() {
		return ErrnoMfile
	}
	d, err := p.open(o)
	if err != nil {
		return err
	}
	fd, err := g.fds.add(d)
	if err != nil {
		return errors.Join(err, d.object.close())
	}
	return m.putU32(a.u32(8), fd)
}

func (p place) open(o opening) (*descriptor, error) {
	switch {
	case p.info == nil && !o.creates():
		return nil, ErrnoNoent
	case p.info == nil && p.slashed:
		return nil, ErrnoIsdir
	case p.info != nil && o.exclusive():
		return nil, ErrnoExist
	case p.info != nil && p.info.Mode()&fs.ModeSymlink != 0:
		return nil, ErrnoLoop // it was not to be followed
	case p.info != nil && p.info.IsDir():
		return p.openDirectory(o)
	case o.oflags&openDirectoryOnly != 0:
		return nil, ErrnoNotdir
	}
	return p.openFile(o)
}

func (p place) openDirectory(o opening) (*descriptor, error) {
	if o.creates() || o.truncates() || o.writes() && o.oflags&openDirectoryOnly == 0 {
		return nil, ErrnoIsdir
	}
	dir, err := openDirectory(p)
	if err != nil {
		return nil, err
	}
	return &descriptor{
		object:     dir,
		rights:     o.rights & dirRights,
		inheriting: o.inheriting & (dirRights | fileRights),
		flags:      o.fdflags,
	}, nil
}

func (p place) openFile(o opening) (*descriptor, error) {
	if p.mnt.readOnly && (o.writes() || o.truncates() || p.info == nil) {
		return nil, ErrnoRofs
	}
	root, err := p.handle()
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(p.rel, o.hostFlags(), 0o666)
	if err != nil {
		return nil, err
	}
	object, err := newFile(f, p.mnt.readOnly)
	if err == nil && o.fdflags&flagAppend != 0 {
		err = object.setFlags(o.fdflags)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &descriptor{object: object, rights: o.rights & fileRights, flags: o.fdflags}, nil
}

// hostFlags are the kernel's flags of the opening. O_APPEND is set later: os.File would refuse to write at an
// offset with it. O_NONBLOCK keeps the opening of a FIFO from waiting and means nothing to a regular file.
func (o opening) hostFlags() int {
	flags := os.O_RDONLY
	switch {
	case o.writes() && o.rights&rightFDRead != 0:
		flags = os.O_RDWR
	case o.writes():
		flags = os.O_WRONLY
	}
	if o.creates() {
		flags |= os.O_CREATE
	}
	if o.exclusive() {
		flags |= os.O_EXCL
	}
	if o.truncates() {
		flags |= os.O_TRUNC
	}
	if o.fdflags&flagDsync != 0 {
		flags |= unix.O_DSYNC
	}
	if o.fdflags&(flagSync|flagRsync) != 0 {
		flags |= unix.O_SYNC
	}
	return flags | unix.O_NONBLOCK
}
