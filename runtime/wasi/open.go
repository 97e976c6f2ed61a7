package wasi

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

// Opening is a set of options for opening a path.
type Opening uint16

// The options of Opening, which may be combined. Without Read and Write a file is opened for
// reading.
const (
	Read          Opening = 1 << iota
	Write                 // a directory cannot be opened with it
	Follow                // follow a symbolic link at the end of the path
	Create                // make the file if it is missing
	Exclusive             // with Create: the file must be missing
	Truncate              // empty the file
	OnlyDirectory         // the path must be a directory
	Append                // every write goes to the end
	DataSync              // data is on the disk before a write returns
	Sync                  // data and attributes are on the disk before a write returns
)

func (o Opening) writes() bool    { return o&Write != 0 }
func (o Opening) creates() bool   { return o&Create != 0 }
func (o Opening) exclusive() bool { return o.creates() && o&Exclusive != 0 }
func (o Opening) truncates() bool { return o&Truncate != 0 }
func (o Opening) directory() bool { return o&OnlyDirectory != 0 }

// follows reports whether a link at the end of the path is followed.
func (o Opening) follows() bool { return o&Follow != 0 && !o.exclusive() }

// changes reports whether the opening may change the file or its directory.
func (o Opening) changes() bool { return o.writes() || o.truncates() || o.creates() }

// Open opens a path below the directory. The result is a *File or a *Directory.
func (d *Directory) Open(ctx context.Context, path string, o Opening) (Object, error) {
	room := &d.at.ns.guest.room
	if err := room.reserve(); err != nil {
		return nil, err
	}
	opened, err := d.open(ctx, path, o)
	if err != nil {
		room.release()
		return nil, err
	}
	return opened, nil
}

func (d *Directory) open(ctx context.Context, path string, o Opening) (Object, error) {
	ns := d.at.ns
	if p, ok := ns.direct(d, path); ok && !(p.mnt.readOnly && o.changes()) {
		opened, err := p.openDirect(ctx, o)
		if err == nil || err == ErrNotExist { //nolint:errorlint // this is on the way of every opening, and the error is never wrapped
			return opened, err
		}
	}
	p, err := ns.walk(ctx, d.location(), path, o.follows())
	if err != nil {
		return nil, err
	}
	return p.open(ctx, o)
}

// open opens the location that a walk found.
func (p location) open(ctx context.Context, o Opening) (Object, error) {
	switch {
	case p.info == nil && !o.creates():
		return nil, ErrNotExist
	case p.info == nil && p.slashed:
		return nil, ErrIsDirectory
	case p.info != nil && o.exclusive():
		return nil, ErrExist
	case p.info != nil && p.info.isLink():
		return nil, ErrLoop // it must not be followed
	case p.info != nil && p.info.isDir():
		return p.openDirectory(o)
	case o.directory():
		return nil, ErrNotDirectory
	case p.mnt.readOnly && (o.writes() || o.truncates() || p.info == nil):
		return nil, ErrReadOnly
	case p.info == nil && p.level() > MaxLevels:
		return nil, ErrNameTooLong
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
	return p.adopt(fd, o)
}

// empty empties a large file, on a separate thread, if the opening truncates it.
func (p location) empty(ctx context.Context, o Opening) error {
	if !o.truncates() || o.exclusive() || o.directory() {
		return nil
	}
	dir, err := p.handle()
	if err != nil {
		return err
	}
	return aside(ctx, p.ns.guest.room.files, func(fds []int) error {
		fd, err := openBelow(fds[0], p.rel, unix.O_WRONLY|unix.O_TRUNC|unix.O_NONBLOCK, 0)
		if err == nil {
			_ = unix.Close(fd) // nothing was written to it
		}
		return err
	}, dir)
}

func (p location) openDirectory(o Opening) (Object, error) {
	if o.changes() {
		return nil, ErrIsDirectory
	}
	d, err := openDirectory(p)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// adopt makes an object from the file that was opened at p, after a last check of its kind.
func (p location) adopt(fd int, o Opening) (Object, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil {
		err = openable(&st)
	}
	if err == nil {
		err = p.ns.fileSystems.check(fd, st.Dev)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	kind := typeOf(st.Mode)
	if kind == TypeDirectory {
		if err := p.ns.roomFor(p.guest); err != nil {
			return nil, errors.Join(err, unix.Close(fd))
		}
		return newDirectory(p, fd), nil
	}
	g := p.ns.guest
	if slow(&st) {
		g.room.bulk += slowSize
	}
	return &File{guest: g, fd: fd, kind: kind, readOnly: p.mnt.readOnly}, nil
}

// hostFlags are the kernel's flags for the opening. With O_NONBLOCK the opening of a FIFO does not
// wait. It has no effect on a regular file.
func (o Opening) hostFlags() int {
	flags := unix.O_RDONLY
	switch {
	case o.writes() && o&Read != 0:
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
	if o&Append != 0 {
		flags |= unix.O_APPEND
	}
	if o&DataSync != 0 {
		flags |= unix.O_DSYNC
	}
	if o&Sync != 0 {
		flags |= unix.O_SYNC
	}
	return flags | unix.O_NONBLOCK
}
