package wasi

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// Directory is an open directory. Its methods walk paths from this directory, in the guest's own
// namespace: see the package documentation. A path that does not exist is ErrNotExist.
type Directory struct {
	at     location // its location when it was opened
	fd     int      // -1 for a mount point, and for a directory that exists only because of mounts
	unread bool     // fd is open for its names only
	large  bool     // reading it may take long
	stream int      // for its entries; -1 until they are first read
}

// maxPaths bounds the total size of the paths of a guest's open directories, in bytes.
const maxPaths = 1 << 20

// roomFor returns an error if a directory with this path would exceed maxPaths.
func (ns *namespace) roomFor(guest string) error {
	if ns.paths+len(guest) > maxPaths {
		return ErrNoMemory
	}
	return nil
}

// openDirectory opens the directory at p.
func openDirectory(p location) (*Directory, error) {
	if err := p.ns.roomFor(p.guest); err != nil {
		return nil, err
	}
	if p.info.virtual || p.ns.mounts[p.guest] != nil {
		return newDirectory(p.ns.locate(p.guest), -1), nil
	}
	handle, err := p.handle()
	if err != nil {
		return nil, err
	}
	fd, err := openBelow(handle, p.rel, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	unread := errors.Is(err, unix.EACCES) // a walk may go through it, but it cannot be read
	if unread {
		fd, err = openBelow(handle, p.rel, unix.O_PATH|unix.O_DIRECTORY, 0)
	}
	if err != nil {
		return nil, err
	}
	d := newDirectory(p, fd)
	d.unread = unread
	return d, nil
}

// newDirectory makes the directory at p, which is open as fd.
func newDirectory(p location, fd int) *Directory {
	// The path of p may be the start of a longer string, which would then be kept in memory.
	at := location{ns: p.ns, mnt: p.mnt, guest: strings.Clone(p.guest), rel: p.rel}
	at.ns.paths += len(at.guest)
	return &Directory{at: at, fd: fd, stream: -1}
}

// location is the location at which walks from this directory begin.
func (d *Directory) location() location {
	p := d.at
	if d.fd >= 0 {
		p.base, p.rel = d, "."
	}
	return p
}

// Path returns the guest path of the directory when it was opened.
func (d *Directory) Path() string { return d.at.guest }

// ReadOnly reports whether the directory's own mount is read-only.
func (d *Directory) ReadOnly() bool { return d.at.mnt.readOnly }

// Type implements Object.
func (d *Directory) Type() FileType { return TypeDirectory }

// Stat implements Object.
func (d *Directory) Stat() (Stat, error) {
	if d.fd >= 0 {
		return statFD(d.fd)
	}
	info, err := d.location().lstat()
	if err != nil {
		return Stat{}, err
	}
	if info == nil {
		return Stat{}, ErrNotExist
	}
	return statOf(&info.Stat_t), nil
}

// Close implements Object.
func (d *Directory) Close(context.Context) error {
	ns := d.at.ns
	if g := ns.guest; d == g.root {
		g.room.open--
	} else {
		g.room.release()
	}
	ns.paths -= len(d.at.guest)
	if ns.list != nil && ns.list.of == d {
		ns.list.of = nil
	}
	var errs []error
	if d.stream >= 0 && d.stream != d.fd {
		errs = append(errs, unix.Close(d.stream))
	}
	if d.fd >= 0 {
		errs = append(errs, unix.Close(d.fd))
	}
	d.fd, d.stream = -1, -1
	return errors.Join(errs...)
}

// openStream opens the directory for its entries.
func (d *Directory) openStream() error {
	if d.stream >= 0 {
		return nil
	}
	if d.fd >= 0 && !d.unread {
		d.stream, d.large = d.fd, isLarge(d.fd)
		return nil
	}
	p := d.location()
	dir, err := p.handle()
	if err != nil {
		return err
	}
	fd, err := openBelow(dir, p.rel, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	d.stream, d.large = fd, isLarge(fd)
	return nil
}

func isLarge(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && slow(&st)
}

// Sync writes the directory's entries to the disk.
func (d *Directory) Sync(ctx context.Context, dataOnly bool) error {
	if err := d.openStream(); err != nil {
		return err
	}
	return flush(ctx, d.at.ns.guest, d.stream, dataOnly)
}
