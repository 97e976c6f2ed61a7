package wasi

import (
	"context"
	"encoding/binary"
	"errors"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// directory is an open directory.
type directory struct {
	at     place // where it was when it was opened
	fd     int   // itself, pinned; -1 for a mount point and for a directory that only mounts make
	unread bool  // fd is open for its names only
	large  bool  // reading it may take long
	stream int   // for its entries; opened by the first fd_readdir, -1 until then
}

// maxPaths bounds the paths of the directories that a guest has open, in bytes together.
const maxPaths = 1 << 20

// roomFor says why a directory of that path cannot be opened.
func (ns *namespace) roomFor(guest string) error {
	if ns.paths+len(guest) > maxPaths {
		return ErrnoNomem
	}
	return nil
}

// listing has entries of the directory that the guest listed last. There is one to a guest: who lists several
// directories in turn has them read again from where it went on elsewhere.
type listing struct {
	of       *directory
	storage  [direntBuffer]byte
	buf      []byte // entries that the kernel gave and the guest did not take
	position uint64 // the cookie that buf begins at
}

// openDirectory opens the directory at p.
func openDirectory(p place) (*directory, error) {
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
	unread := err == unix.EACCES // it may be walked through and not read
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

// newDirectory is the directory at p, open as fd.
func newDirectory(p place, fd int) *directory {
	at := place{ns: p.ns, mnt: p.mnt, guest: strings.Clone(p.guest), rel: p.rel} // its path may be the start of a longer one
	at.ns.paths += len(at.guest)
	return &directory{at: at, fd: fd, stream: -1}
}

// place is where the walks from this directory begin.
func (d *directory) place() place {
	p := d.at
	if d.fd >= 0 {
		p.base, p.rel = d, "."
	}
	return p
}

func (d *directory) filetype() filetype { return typeDirectory }

func (d *directory) stat() (filestat, error) {
	if d.fd >= 0 {
		var st unix.Stat_t
		err := unix.Fstat(d.fd, &st)
		return statOf(&st), err
	}
	info, err := d.place().lstat()
	if err != nil {
		return filestat{}, err
	}
	if info == nil {
		return filestat{}, ErrnoNoent
	}
	return statOf(&info.Stat_t), nil
}

func (d *directory) close() error {
	ns := d.at.ns
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

// open makes the directory's stream of entries.
func (d *directory) open() error {
	if d.stream >= 0 {
		return nil
	}
	if d.fd >= 0 && !d.unread {
		d.stream, d.large = d.fd, isLarge(d.fd)
		return nil
	}
	p := d.place()
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

// read asks the kernel for the next entries.
func (d *directory) read(ctx context.Context, buf []byte) (n int, err error) {
	if !d.large {
		return unix.Getdents(d.stream, buf)
	}
	var own []byte // one that the call may write to after a kill
	err = aside(ctx, d.at.ns.files, func(fds []int) error {
		own = make([]byte, len(buf))
		n, err := unix.Getdents(fds[0], own)
		own = own[:max(n, 0)]
		return err
	}, d.stream)
	if err != nil {
		return 0, err
	}
	return copy(buf, own), nil
}

// entry is one entry of a directory. next is the cookie that continues behind it.
type entry struct {
	next uint64
	ino  uint64
	kind filetype
	name string
}

// mountCookies is the first cookie of the entries that only mounts make; the kernel's own offsets, which are
// the cookies of all others, are below.
const mountCookies = 1 << 63

// entries calls each with the entries behind the cookie until each returns false or there are no more.
func (d *directory) entries(ctx context.Context, cookie uint64, each func(entry) bool) error {
	if cookie < mountCookies {
		more, err := d.hostEntries(ctx, cookie, each)
		if err != nil || !more {
			return err
		}
		cookie = mountCookies
	}
	names := make([]string, 0, len(d.at.ns.above[d.at.guest]))
	for name := range d.at.ns.above[d.at.guest] {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		if err := d.at.ns.pace.look(ctx); err != nil {
			return err
		}
		if uint64(i) < cookie-mountCookies || d.onHost(name) { // taken, or listed with the host's entries
			continue
		}
		e := entry{next: mountCookies + uint64(i) + 1, name: name}
		d.mounted(&e)
		if !each(e) {
			return nil
		}
	}
	return nil
}

// onHost says that the host's directory has the name by itself.
func (d *directory) onHost(name string) bool {
	p := d.place()
	dir, err := p.handle()
	if err != nil || p.mnt.file != "" {
		return false
	}
	if p.rel != "." {
		name = p.rel + "/" + name
	}
	_, err = statBelow(dir, name)
	return err == nil
}

// mounted gives an entry the type and number of what is mounted over it or below it.
func (d *directory) mounted(e *entry) {
	if !d.at.ns.above[d.at.guest][e.name] {
		return
	}
	info, err := d.place().child(e.name).lstat()
	if err != nil || info == nil {
		return
	}
	st := statOf(&info.Stat_t)
	e.kind, e.ino = st.kind, st.ino
}

// direntBuffer is how many bytes of entries one call of the kernel gives.
const direntBuffer = 8 << 10

func (d *directory) hostEntries(ctx context.Context, cookie uint64, each func(entry) bool) (more bool, err error) {
	ns := d.at.ns
	if err := d.open(); err != nil {
		if ns.above[d.at.guest] != nil {
			return true, nil // only mounts make it
		}
		return false, err
	}
	if ns.list == nil {
		ns.list = &listing{}
	}
	l := ns.list
	if l.of != d || cookie != l.position || cookie == 0 {
		if _, err := unix.Seek(d.stream, int64(cookie), unix.SEEK_SET); err != nil {
			return false, err
		}
		l.of, l.buf, l.position = d, nil, cookie
	}
	for first := true; ; first = false {
		if len(l.buf) == 0 {
			if !first {
				if err := ns.pace.look(ctx); err != nil {
					return false, err
				}
			}
			n, err := d.read(ctx, l.storage[:])
			if err != nil {
				return false, err
			}
			if n <= 0 {
				return true, nil
			}
			l.buf = l.storage[:n]
		}
		e, size := parseDirent(l.buf)
		d.mounted(&e)
		if !each(e) {
			return false, nil
		}
		l.buf, l.position = l.buf[size:], e.next
	}
}

// parseDirent reads one struct linux_dirent64: inode, offset of the next, length, type, name ending in zero.
func parseDirent(b []byte) (entry, int) {
	size := int(binary.NativeEndian.Uint16(b[16:]))
	e := entry{
		ino:  binary.NativeEndian.Uint64(b),
		next: binary.NativeEndian.Uint64(b[8:]),
		kind: direntType(b[18]),
	}
	name := b[19:size]
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	e.name = string(name)
	return e, size
}

func direntType(t byte) filetype {
	switch t {
	case unix.DT_DIR:
		return typeDirectory
	case unix.DT_REG:
		return typeRegularFile
	case unix.DT_LNK:
		return typeSymbolicLink
	case unix.DT_CHR:
		return typeCharacterDevice
	case unix.DT_BLK:
		return typeBlockDevice
	case unix.DT_SOCK:
		return typeSocketStream
	}
	return typeUnknown
}
