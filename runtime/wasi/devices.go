package wasi

import "golang.org/x/sys/unix"

// What a mount shows of special files. A guest runs in the agent's process, so two kinds of files that a container's
// own process could do less with must not be opened for it.

// openable says whether a file of these attributes may be opened. It is asked before the file is, since opening
// some devices is an act by itself (a watchdog, a tape). The devices that every container has are the only ones:
// others would need a grant, and the node has no device plugins.
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
		return ErrNoSuchDevice // as the kernel has it
	}
	return nil
}

// fileSystems remembers which of the host's file systems are open to the guest, by device number.
type fileSystems map[uint64]bool

// check refuses what is open as fd on a proc file system, which shows this process its own memory and secrets.
func (f fileSystems) check(fd int, dev uint64) error {
	ok, known := f[dev]
	if !known {
		var fs unix.Statfs_t
		if err := unix.Fstatfs(fd, &fs); err != nil {
			return err
		}
		ok = fs.Type != unix.PROC_SUPER_MAGIC
		f[dev] = ok
	}
	if !ok {
		return ErrAccess
	}
	return nil
}
