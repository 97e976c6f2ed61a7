package wasi

import (
	"context"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// The operations on entries of directories. Each looks at the place that a walk found, refuses what the
// guest's view of its files forbids, and leaves the rest, and with it the exact error, to one call of the
// kernel on the entry's name in its directory, which was opened below the mount's directory.

// inParent calls do with the open directory that holds p, and p's name there.
func (p place) inParent(do func(dir int, name string) error) error {
	parent := p.parent()
	if parent.mnt != p.mnt {
		return ErrnoBusy // p is a mount point
	}
	root, err := parent.handle()
	if err != nil {
		return err
	}
	return inDirectory(root, parent.rel, func(dir int) error { return do(dir, path.Base(p.guest)) })
}

// makeable says why nothing can be made at p, which was walked without following a last link.
func (p place) makeable() error {
	switch {
	case p.info != nil:
		return ErrnoExist
	case p.mnt.readOnly:
		return ErrnoRofs
	case p.level() > maxLevels:
		return ErrnoNametoolong
	}
	return nil
}

// changeable says why the entry p cannot be moved or removed.
func (p place) changeable() error {
	switch {
	case p.info == nil:
		return ErrnoNoent
	case p.dotted:
		return ErrnoInval
	case p.ns.pinned(p.guest):
		return ErrnoBusy
	case p.mnt.readOnly:
		return ErrnoRofs
	}
	return nil
}

func (p place) mkdir(ctx context.Context) error {
	if err := p.makeable(); err != nil {
		return err
	}
	switch depth, err := p.depth(ctx); {
	case err != nil:
		return err
	case depth > maxLevels:
		return ErrnoNametoolong
	}
	return p.inParent(func(dir int, name string) error { return unix.Mkdirat(dir, name, 0o777) })
}

// mkdirAll makes the directory at the absolute guest path, and those above it, unless they exist.
func (ns *namespace) mkdirAll(guest string) error {
	if len(guest) >= maxPath {
		return ErrnoNametoolong
	}
	ctx := context.Background() // what it does is bounded
	at := ns.locate("/")
	for name := range strings.SplitSeq(strings.Trim(path.Clean("/"+guest), "/"), "/") {
		if name == "" {
			return nil // the root
		}
		next, err := ns.walk(ctx, at, name, true)
		if err != nil {
			return err
		}
		if next.info == nil {
			if err := next.mkdir(ctx); err != nil {
				return err
			}
		} else if !next.info.isDir() {
			return ErrnoNotdir
		}
		at = next
	}
	return nil
}

func (p place) rmdir(ctx context.Context) error {
	if p.info != nil && !p.info.isDir() {
		return ErrnoNotdir
	}
	if err := p.changeable(); err != nil {
		return err
	}
	return p.remove(ctx, unix.AT_REMOVEDIR)
}

func (p place) unlink(ctx context.Context) error {
	if p.info != nil && p.info.isDir() {
		return ErrnoIsdir
	}
	if err := p.changeable(); err != nil {
		return err
	}
	return p.remove(ctx, 0)
}

// remove removes p, aside if that takes long.
func (p place) remove(ctx context.Context, flags int) error {
	return p.inParent(func(dir int, name string) error {
		if !p.info.slow() {
			return unix.Unlinkat(dir, name, flags)
		}
		return aside(ctx, p.ns.files, func(fds []int) error { return unix.Unlinkat(fds[0], name, flags) }, dir)
	})
}

func (p place) symlink(target string) error {
	if err := p.makeable(); err != nil {
		return err
	}
	if p.slashed {
		return ErrnoNoent
	}
	if target[0] == '/' {
		return ErrnoPerm // as the conformance programs want it; those that others made are followed
	}
	return p.inParent(func(dir int, name string) error { return unix.Symlinkat(target, dir, name) })
}

func (p place) readlink() (string, error) {
	if p.info == nil {
		return "", ErrnoNoent
	}
	if !p.info.isLink() {
		return "", ErrnoInval
	}
	dir, err := p.handle()
	if err != nil {
		return "", err
	}
	return readlinkBelow(dir, p.rel)
}

func (p place) rename(ctx context.Context, to place) error {
	if err := p.changeable(); err != nil {
		return err
	}
	switch {
	case to.dotted:
		return ErrnoInval
	case to.ns.pinned(to.guest):
		return ErrnoBusy
	case p.mnt != to.mnt:
		return ErrnoXdev
	case to.slashed && !p.info.isDir():
		return ErrnoNotdir
	}
	if err := p.shallow(ctx, to); err != nil {
		return err
	}
	return p.inParent(func(fromDir int, from string) error {
		return to.inParent(func(toDir int, name string) error {
			if !to.info.slow() {
				return unix.Renameat(fromDir, from, toDir, name)
			}
			return aside(ctx, p.ns.files, func(fds []int) error { return unix.Renameat(fds[0], from, fds[1], name) }, fromDir, toDir)
		})
	})
}

func (p place) link(to place) error {
	switch {
	case p.info == nil:
		return ErrnoNoent
	case p.info.isDir():
		return ErrnoPerm
	case to.info != nil:
		return ErrnoExist
	case to.slashed:
		return ErrnoNoent
	case p.mnt != to.mnt:
		return ErrnoXdev
	case to.mnt.readOnly:
		return ErrnoRofs
	case to.level() > maxLevels:
		return ErrnoNametoolong
	}
	return p.inParent(func(fromDir int, from string) error {
		return to.inParent(func(toDir int, name string) error { return unix.Linkat(fromDir, from, toDir, name, 0) })
	})
}

// setTimes changes the times of what is at p, of a link itself where p is one.
func (p place) setTimes(times [2]unix.Timespec) error {
	switch {
	case p.info == nil:
		return ErrnoNoent
	case p.mnt.readOnly:
		return ErrnoRofs
	}
	if p.info.virtual {
		return ErrnoRofs
	}
	if p.rel == "." || p.mnt.file != "" {
		root, err := p.handle()
		if err != nil {
			return err
		}
		fd, err := openBelow(root, p.rel, unix.O_PATH|unix.O_NOFOLLOW, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd) //nolint:errcheck // opened for its name only
		return unix.UtimesNanoAt(fd, "", times[:], unix.AT_EMPTY_PATH)
	}
	return p.inParent(func(dir int, name string) error {
		return unix.UtimesNanoAt(dir, name, times[:], unix.AT_SYMLINK_NOFOLLOW)
	})
}
