package wasi

import (
	"context"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// The operations on entries of directories. Each one checks the location that a walk found, and
// refuses what the guest's view of its files forbids. The rest, and the exact error, come from one
// system call with the entry's name in its directory, which was opened below the mount's directory.

// inParent calls do with the open directory of p, and p's name in it.
func (p location) inParent(do func(dir int, name string) error) error {
	parent := p.parent()
	if parent.mnt != p.mnt {
		return ErrBusy // p is a mount point
	}
	root, err := parent.handle()
	if err != nil {
		return err
	}
	return inDirectory(root, parent.rel, func(dir int) error { return do(dir, path.Base(p.guest)) })
}

// makeable returns an error if no entry can be made at p. The walk to p did not follow a last link.
func (p location) makeable() error {
	switch {
	case p.info != nil:
		return ErrExist
	case p.mnt.readOnly:
		return ErrReadOnly
	case p.level() > MaxLevels:
		return ErrNameTooLong
	}
	return nil
}

// changeable returns an error if the entry p cannot be moved or removed.
func (p location) changeable() error {
	switch {
	case p.info == nil:
		return ErrNotExist
	case p.dotted:
		return ErrInvalid
	case p.ns.pinned(p.guest):
		return ErrBusy
	case p.mnt.readOnly:
		return ErrReadOnly
	}
	return nil
}

func (p location) mkdir(ctx context.Context) error {
	if err := p.makeable(); err != nil {
		return err
	}
	switch depth, err := p.depth(ctx); {
	case err != nil:
		return err
	case depth > MaxLevels:
		return ErrNameTooLong
	}
	return p.inParent(func(dir int, name string) error { return unix.Mkdirat(dir, name, 0o777) })
}

// mkdirAll makes the directory at the absolute guest path, and its missing parents.
func (ns *namespace) mkdirAll(guest string) error {
	if len(guest) >= MaxPath {
		return ErrNameTooLong
	}
	ctx := context.Background() // its work is bounded
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
			return ErrNotDirectory
		}
		at = next
	}
	return nil
}

func (p location) rmdir(ctx context.Context) error {
	if p.info != nil && !p.info.isDir() {
		return ErrNotDirectory
	}
	if err := p.changeable(); err != nil {
		return err
	}
	return p.remove(ctx, unix.AT_REMOVEDIR)
}

func (p location) unlink(ctx context.Context) error {
	if p.info != nil && p.info.isDir() {
		return ErrIsDirectory
	}
	if err := p.changeable(); err != nil {
		return err
	}
	return p.remove(ctx, 0)
}

// remove removes p. If this takes long, it runs on a separate thread.
func (p location) remove(ctx context.Context, flags int) error {
	return p.inParent(func(dir int, name string) error {
		if !p.info.slow() {
			return unix.Unlinkat(dir, name, flags)
		}
		return aside(ctx, p.ns.guest.room.files, func(fds []int) error { return unix.Unlinkat(fds[0], name, flags) }, dir)
	})
}

func (p location) symlink(target string) error {
	if err := p.makeable(); err != nil {
		return err
	}
	if p.slashed {
		return ErrNotExist
	}
	if target[0] == '/' {
		return ErrNotPermitted // the conformance programs require it; absolute links that others made are followed
	}
	return p.inParent(func(dir int, name string) error { return unix.Symlinkat(target, dir, name) })
}

func (p location) readlink() (string, error) {
	if p.info == nil {
		return "", ErrNotExist
	}
	if !p.info.isLink() {
		return "", ErrInvalid
	}
	dir, err := p.handle()
	if err != nil {
		return "", err
	}
	return readlinkBelow(dir, p.rel)
}

func (p location) rename(ctx context.Context, to location) error {
	if err := p.changeable(); err != nil {
		return err
	}
	switch {
	case to.dotted:
		return ErrInvalid
	case to.ns.pinned(to.guest):
		return ErrBusy
	case p.mnt != to.mnt:
		return ErrCrossDevice
	case to.slashed && !p.info.isDir():
		return ErrNotDirectory
	}
	if err := p.shallow(ctx, to); err != nil {
		return err
	}
	return p.inParent(func(fromDir int, from string) error {
		return to.inParent(func(toDir int, name string) error {
			if !to.info.slow() {
				return unix.Renameat(fromDir, from, toDir, name)
			}
			return aside(ctx, p.ns.guest.room.files, func(fds []int) error { return unix.Renameat(fds[0], from, fds[1], name) }, fromDir, toDir)
		})
	})
}

func (p location) link(to location) error {
	switch {
	case p.info == nil:
		return ErrNotExist
	case p.info.isDir():
		return ErrNotPermitted
	case to.info != nil:
		return ErrExist
	case to.slashed:
		return ErrNotExist
	case p.mnt != to.mnt:
		return ErrCrossDevice
	case to.mnt.readOnly:
		return ErrReadOnly
	case to.level() > MaxLevels:
		return ErrNameTooLong
	}
	return p.inParent(func(fromDir int, from string) error {
		return to.inParent(func(toDir int, name string) error { return unix.Linkat(fromDir, from, toDir, name, 0) })
	})
}

// setTimes changes the times of the file at p. It does not follow a link.
func (p location) setTimes(times Times) error {
	switch {
	case p.info == nil:
		return ErrNotExist
	case p.mnt.readOnly:
		return ErrReadOnly
	}
	if p.info.virtual {
		return ErrReadOnly
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
		defer unix.Close(fd) //nolint:errcheck // it was opened only for its name
		return unix.UtimesNanoAt(fd, "", times[:], unix.AT_EMPTY_PATH)
	}
	return p.inParent(func(dir int, name string) error {
		return unix.UtimesNanoAt(dir, name, times[:], unix.AT_SYMLINK_NOFOLLOW)
	})
}
