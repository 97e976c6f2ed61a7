package wasi

import "golang.org/x/sys/unix"

// Which special files of a mount a guest may use. A guest runs in an OS process of the agent, which
// can open more than a container's own process could. So two kinds of files must not be opened for
// a guest.

// openable returns an error if a file with these attributes must not be opened. The host checks
// this before it opens the file, because some devices act when they are opened (a watchdog, a
// tape). Only the devices that every container has are allowed. Others would need a grant, and the
// node has no device plugins.
func openable(a *unix.Stat_t) error {
	switch a.Mode & unix.S_IFMT {
	case unix.S_IFBLK:
		return ErrNotPermitted
	case unix.S_IFCHR:
		if unix.Major(a.Rdev) != 1 {
			return ErrNotPermitted
		}
		switch unix.Minor(a.Rdev) {
		case 3, 5, 7, 8, 9: // null, zero, full, random, urandom
			return nil
		}
		return ErrNotPermitted
	case unix.S_IFSOCK:
		return ErrNoSuchDevice // the same error as from the kernel
	}
	return nil
}

// fileSystems says by device number which of the host's file systems the guest may use. It holds
// only those that were already checked.
type fileSystems map[uint64]bool

// check refuses a file, open as fd, of a proc file system, because that shows this OS process's own
// memory and secrets.
func (f *fileSystems) check(fd int, dev uint64) error {
	ok, known := (*f)[dev]
	if !known {
		var fs unix.Statfs_t
		if err := unix.Fstatfs(fd, &fs); err != nil {
			return err
		}
		ok = fs.Type != unix.PROC_SUPER_MAGIC
		if *f == nil {
			*f = fileSystems{}
		}
		(*f)[dev] = ok
	}
	if !ok {
		return ErrAccess
	}
	return nil
}
