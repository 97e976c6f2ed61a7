package wasi

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// The bound for the depth of directories that guests make. Existing directories may be deeper (a
// hostPath volume). They can be walked, read and removed like all others, but nothing can be made
// in or moved to the levels below the bound.
//
// The bound counts levels and not bytes, because a rename changes the bytes of all paths below it,
// and counting them would need a walk through the tree each time. The number of levels grows only
// when a directory moves further down. Few programs do this, and only then the tree is measured.
//
// Other code must not rely on the bound. If two guests share a volume, one can move a tree while
// the host measures it for the other, and the result is deeper. Code that walks a guest's files
// holds few descriptors at any depth.
const (
	MaxLevels   = 256     // from a mount's root to the new entry
	maxMeasured = 1 << 17 // entries of a tree that moves down; larger trees must be copied
)

// level is the number of names between the mount's root and p, at the time of the walk.
func (p location) level() int {
	switch {
	case p.guest == p.mnt.guest:
		return 0
	case p.mnt.guest == "/":
		return strings.Count(p.guest, "/")
	}
	return strings.Count(p.guest[len(p.mnt.guest):], "/")
}

// depth is the current level of p. A directory that the guest holds open may have been moved since
// it was opened.
func (p location) depth(ctx context.Context) (int, error) {
	if p.base == nil {
		return p.level(), nil
	}
	root, err := p.ns.open(p.mnt)
	if err != nil {
		return 0, err
	}
	base := p.base.at
	var own unix.Stat_t
	if err := unix.Fstat(p.base.fd, &own); err != nil {
		return 0, err
	}
	rel := strings.TrimPrefix(base.guest[len(p.mnt.guest):], "/")
	if rel == "" {
		rel = "."
	}
	if there, err := statBelow(root, rel); err == nil && same(&there.Stat_t, &own) {
		return p.level(), nil
	}
	moved, err := climb(ctx, p.base.fd, root)
	return moved + p.level() - base.level(), err
}

func same(a, b *unix.Stat_t) bool { return a.Dev == b.Dev && a.Ino == b.Ino }

// climb counts the levels from the directory dir up to root. If dir is no longer below root, it
// counts up to the root of the file system. It stops counting at the bound.
func climb(ctx context.Context, dir, root int) (levels int, err error) {
	var top, at, above unix.Stat_t
	if err := unix.Fstat(root, &top); err != nil {
		return 0, err
	}
	if err := unix.Fstat(dir, &at); err != nil {
		return 0, err
	}
	fd := dir
	defer func() {
		if fd != dir {
			_ = unix.Close(fd) // opened for its names only
		}
	}()
	for ; levels <= MaxLevels && !same(&at, &top); levels++ {
		if levels%stepsPerLook == 0 && ctx.Err() != nil {
			return 0, ErrKilled
		}
		up, err := unix.Openat(fd, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, err
		}
		if fd != dir {
			_ = unix.Close(fd)
		}
		fd = up
		if err := unix.Fstat(up, &above); err != nil {
			return 0, err
		}
		if same(&at, &above) {
			break
		}
		at = above
	}
	return levels, nil
}

// shallow returns an error if moving p to `to` would make something too deep.
func (p location) shallow(ctx context.Context, to location) error {
	if !p.info.isDir() {
		if level := to.level(); level > MaxLevels && level > p.level() {
			return ErrNameTooLong
		}
		return nil
	}
	target, err := to.depth(ctx)
	if err != nil {
		return err
	}
	own, err := p.depth(ctx)
	switch {
	case err != nil || target <= own: // no entry gets deeper
		return err
	case target > MaxLevels:
		return ErrNameTooLong
	}
	handle, err := p.handle()
	if err != nil {
		return err
	}
	fd, err := openBelow(handle, p.rel, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	tree := measure{pace: &p.ns.guest.pace, fd: fd, room: MaxLevels - target}
	defer tree.close()
	return tree.run(ctx)
}

// measure finds out whether a tree has more levels than allowed. It holds two descriptors at a
// time: on the way back it opens a directory by the `..` of the one below, and checks its number.
// It reads only types and names. So if a tree moves in the meantime, the only harm is a wrong
// result.
type measure struct {
	pace *pace
	fd   int // the current directory
	room int
	way  []visited // the directories that lead to it
	seen int       // number of entries
	buf  [2 << 10]byte
}

// visited is a directory of which some entries were read.
type visited struct {
	dev, ino uint64
	next     int64 // where its listing continues
}

func (m *measure) close() { _ = unix.Close(m.fd) }

func (m *measure) run(ctx context.Context) error {
	for {
		if err := m.pace.look(ctx); err != nil {
			return err
		}
		n, err := unix.Getdents(m.fd, m.buf[:])
		switch {
		case err != nil:
			return err
		case n > 0:
			err = m.entries(m.buf[:n])
		case len(m.way) == 0:
			return nil
		default:
			err = m.up()
		}
		if err != nil {
			return err
		}
	}
}

// entries checks the entries in b, and enters the first directory.
func (m *measure) entries(b []byte) error {
	for len(b) > 0 {
		e, size := parseDirent(b)
		b = b[size:]
		if e.Name == "." || e.Name == ".." {
			continue
		}
		if m.seen++; m.seen > maxMeasured {
			return ErrCrossDevice // with this error programs make a copy
		}
		if len(m.way) >= m.room {
			return ErrNameTooLong
		}
		if e.Type == TypeDirectory || e.Type == TypeUnknown {
			if down, err := m.down(e); down || err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *measure) down(e Entry) (bool, error) {
	fd, err := openBelow(m.fd, e.Name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return false, nil // it was moved or removed in the meantime, or is no directory
	case err != nil:
		return false, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(m.fd, &st); err != nil {
		_ = unix.Close(fd)
		return false, err
	}
	m.way = append(m.way, visited{dev: st.Dev, ino: st.Ino, next: int64(e.Next)})
	_ = unix.Close(m.fd)
	m.fd = fd
	return true, nil
}

func (m *measure) up() error {
	back := m.way[len(m.way)-1]
	fd, err := unix.Openat(m.fd, "..", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_ = unix.Close(m.fd)
	m.fd, m.way = fd, m.way[:len(m.way)-1]
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Dev != back.dev || st.Ino != back.ino {
		return ErrBusy // others move the tree at the same time
	}
	_, err = unix.Seek(fd, back.next, unix.SEEK_SET)
	return err
}
