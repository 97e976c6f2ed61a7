package wasi

import (
	"context"
	"strings"

	"golang.org/x/sys/unix"
)

// direct returns the location of the path name below dir, without a walk. It reports false for
// paths that need a walk: those with `.` or `..`, and those with a mount at the end. If the kernel
// can open the location (see openBelow), no link is on the way, so a walk would have found the same
// location. If the kernel refuses, a walk is needed.
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

// plain reports whether the path is relative and has only names with single slashes between them.
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

// openDirect opens a direct location. Only a nil error and ErrNotExist are final results.
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
	case err == unix.ENOENT: // or a link has no target: only this call follows links on the host
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
