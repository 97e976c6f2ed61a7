package wasi

import (
	"context"
	"strings"

	"golang.org/x/sys/unix"
)

// direct is the location that name, as it is written, has below dir. It reports false where only a
// walk can tell: for `.` and `..`, and for a mount at the end. What the kernel then opens at the
// location (see openBelow) has no link on the way, so the walk would have found the same. Where the
// kernel refuses, the walk finds out what there is.
func (ns *namespace) direct(dir *Directory, name string) (location, bool) {
	if !plain(name) {
		return location{}, false
	}
	p := dir.location()
	from := len(p.guest)
	if p.guest == "/" {
		from = 0
	}
	p.guest = p.guest[:from] + "/" + name
	if len(p.guest) >= MaxPath || ns.pinned(p.guest) {
		return location{}, false
	}
	if p.rel == "." {
		p.rel = name
	} else {
		p.rel += "/" + name
	}
	if len(ns.mounts) == 1 {
		return p, true
	}
	for i := from + 1; i < len(p.guest); i++ {
		if p.guest[i] != '/' {
			continue
		}
		if m := ns.mounts[p.guest[:i]]; m != nil {
			if m.file != "" {
				return location{}, false
			}
			p.mnt, p.base, p.rel = m, nil, p.guest[i+1:]
		}
	}
	return p, p.mnt.file == ""
}

// plain reports whether the path is relative and made of names alone, with one slash between them.
func plain(name string) bool {
	start := 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		switch name[start:i] {
		case "", ".", "..":
			return false
		}
		start = i + 1
	}
	return true
}

// openDirect opens a direct location. Only a nil error and ErrNotExist are an answer.
func (p location) openDirect(ctx context.Context, o Opening) (Object, error) {
	dir, err := p.handle()
	if err != nil {
		return nil, err
	}
	if o.creates() && p.level() > MaxLevels {
		return nil, ErrNameTooLong
	}
	flags := o.hostFlags()
	var st unix.Stat_t
	switch err := unix.Fstatat(dir, p.rel, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT); {
	case err == unix.ENOENT && !o.creates() && strings.IndexByte(p.rel, '/') < 0:
		return nil, ErrNotExist
	case err == unix.ENOENT: // or a link leads nowhere: only this look follows links on the host
	case err != nil:
		return nil, err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		flags |= unix.O_DIRECTORY
	default:
		if err := openable(&st); err != nil {
			return nil, err
		}
		if slow(&st) {
			if err := p.empty(ctx, o); err != nil {
				return nil, err
			}
		}
	}
	fd, err := openBelow(dir, p.rel, flags, 0o666)
	if err != nil {
		return nil, err
	}
	return p.adopt(fd, o)
}
