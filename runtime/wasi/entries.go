package wasi

import (
	"context"
	"encoding/binary"
	"sort"

	"golang.org/x/sys/unix"
)

// Entry is one entry of a directory.
type Entry struct {
	Next uint64 // the cookie for the entry after it
	Ino  uint64
	Type FileType
	Name string
}

// mountCookies is the first cookie of the entries that exist only because of mounts. The cookies of
// all other entries are the kernel's own offsets, which are lower.
const mountCookies = 1 << 63

// listing has entries of the directory that the guest listed last. A guest has one listing. If it
// lists several directories in turn, the host reads each again from where the guest stopped.
type listing struct {
	of       *Directory
	storage  [direntBuffer]byte
	buf      []byte // entries from the kernel that the guest has not taken yet
	position uint64 // the cookie at the start of buf
}

// Entries calls each with the entries after the cookie, until each returns false or there are no
// more. The cookie of the start is 0.
func (d *Directory) Entries(ctx context.Context, cookie uint64, each func(Entry) bool) error {
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
		if err := d.at.ns.guest.pace.look(ctx); err != nil {
			return err
		}
		if uint64(i) < cookie-mountCookies || d.onHost(name) { // already listed
			continue
		}
		e := Entry{Next: mountCookies + uint64(i) + 1, Name: name}
		d.mounted(&e)
		if !each(e) {
			return nil
		}
	}
	return nil
}

// onHost reports whether the host's directory itself has the name.
func (d *Directory) onHost(name string) bool {
	p := d.location()
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

// mounted sets the type and number of an entry if something is mounted over it or below it.
func (d *Directory) mounted(e *Entry) {
	if !d.at.ns.above[d.at.guest][e.Name] {
		return
	}
	info, err := d.location().child(e.Name).lstat()
	if err != nil || info == nil {
		return
	}
	st := statOf(&info.Stat_t)
	e.Type, e.Ino = st.Type, st.Ino
}

// direntBuffer is how many bytes of entries one system call returns.
const direntBuffer = 8 << 10

func (d *Directory) hostEntries(ctx context.Context, cookie uint64, each func(Entry) bool) (more bool, err error) {
	ns := d.at.ns
	if err := d.openStream(); err != nil {
		if ns.above[d.at.guest] != nil {
			return true, nil // the directory exists only because of mounts
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
				if err := ns.guest.pace.look(ctx); err != nil {
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
		l.buf, l.position = l.buf[size:], e.Next
	}
}

// parseDirent reads one struct linux_dirent64: inode, offset of the next, length, type, and a name
// with a zero byte at the end.
func parseDirent(b []byte) (Entry, int) {
	size := int(binary.NativeEndian.Uint16(b[16:]))
	e := Entry{
		Ino:  binary.NativeEndian.Uint64(b),
		Next: binary.NativeEndian.Uint64(b[8:]),
		Type: typeOfEntry(b[18]),
	}
	name := b[19:size]
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	e.Name = string(name)
	return e, size
}

// read asks the kernel for the next entries.
func (d *Directory) read(ctx context.Context, buf []byte) (n int, err error) {
	if !d.large {
		return unix.Getdents(d.stream, buf)
	}
	var own []byte // the call may write to the buffer after a kill
	err = aside(ctx, d.at.ns.guest.room.files, func(fds []int) error {
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
