package wasi

import (
	"errors"
	"hash/fnv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Every access to the file system goes through this file. The host opens files for a guest by a
// path of plain names, below a directory that it holds open. None of the names may be a link. The
// kernel enforces that (openat2, Linux 5.6), so no race between a check and an opening can lead out
// of a mount. Only the walk follows links, in the guest's namespace.

const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS // this excludes links of /proc, too

// openBelow opens rel below the directory dir. rel has no `..`. Any link is ELOOP, with one
// exception: with O_PATH|O_NOFOLLOW, a link as the last name is opened itself.
func openBelow(dir int, rel string, flags int, mode uint32) (int, error) {
	flags |= unix.O_CLOEXEC
	if flags&unix.O_PATH == 0 {
		flags |= unix.O_NOCTTY // so that a terminal does not become the agent's controlling terminal
	}
	if flags&unix.O_CREAT == 0 {
		mode = 0 // openat2 requires it
	}
	// A single name without a slash, which is no link, can only lead to an entry of the directory,
	// and openat is a tenth faster than openat2.
	if strings.IndexByte(rel, '/') < 0 || !hasOpenat2() {
		return openByName(dir, rel, flags, mode)
	}
	how := unix.OpenHow{Flags: uint64(flags), Mode: uint64(mode), Resolve: beneath}
	for {
		fd, err := unix.Openat2(dir, rel, &how)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// hasOpenat2 reports whether the kernel, and the filter of the agent's system calls, allow openat2.
var hasOpenat2 = sync.OnceValue(func() bool {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: beneath &^ unix.RESOLVE_BENEATH})
	if err != nil {
		return false
	}
	return unix.Close(fd) == nil
})

// openByName is openBelow without openat2. It opens one name after the other, and refuses links.
func openByName(dir int, rel string, flags int, mode uint32) (int, error) {
	at := dir
	for {
		name, rest, more := strings.Cut(rel, "/")
		var (
			fd  int
			err error
		)
		if name == ".." {
			err = unix.EXDEV // the same error as from openat2
		} else if more {
			fd, err = openName(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			if errors.Is(err, unix.ENOTDIR) && isLink(at, name) {
				err = unix.ELOOP
			}
		} else {
			fd, err = openName(at, name, flags|unix.O_NOFOLLOW, mode)
		}
		if at != dir {
			_ = unix.Close(at) // nothing was written to it
		}
		if err != nil || !more {
			return fd, err
		}
		at, rel = fd, rest
	}
}

func openName(dir int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func isLink(dir int, name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
}

// attributes are the attributes of a file from the kernel.
type attributes struct {
	unix.Stat_t
	virtual bool // a directory that exists only because something is mounted below it
}

func (a *attributes) isDir() bool  { return a.Mode&unix.S_IFMT == unix.S_IFDIR }
func (a *attributes) isLink() bool { return a.Mode&unix.S_IFMT == unix.S_IFLNK }

// virtualAttributes are those of a directory that exists only because of mounts below it.
func virtualAttributes(guest string) *attributes {
	h := fnv.New64a()
	_, _ = h.Write([]byte(guest))
	a := &attributes{virtual: true}
	a.Mode, a.Nlink, a.Ino = unix.S_IFDIR|0o555, 1, h.Sum64() // any number that no other file has
	return a
}

// statBelow returns the attributes of rel below dir. It does not follow a link.
func statBelow(dir int, rel string) (*attributes, error) {
	a := &attributes{}
	if strings.IndexByte(rel, '/') < 0 {
		return a, unix.Fstatat(dir, rel, &a.Stat_t, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
	}
	fd, err := openBelow(dir, rel, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Fstat(fd, &a.Stat_t)
	_ = unix.Close(fd) // it was opened only for its name
	return a, err
}

// readlinkBelow reads the link rel below dir.
func readlinkBelow(dir int, rel string) (string, error) {
	fd, err := openBelow(dir, rel, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd) //nolint:errcheck // it was opened only for its name
	target, err := readlinkIn(fd, "")
	if errors.Is(err, unix.ENOENT) {
		err = unix.EINVAL // with an empty path the kernel returns ENOENT for a file that is no link
	}
	return target, err
}

// readlinkIn reads the link name in the directory dir, or dir itself if name is empty.
func readlinkIn(dir int, name string) (string, error) {
	buf := make([]byte, MaxPath)
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// mkdirBelow makes the directory rel below dir, and its missing parents.
func mkdirBelow(dir int, rel string) error {
	for at := 0; at < len(rel); {
		next := strings.IndexByte(rel[at:], '/')
		if next < 0 {
			next = len(rel) - at
		}
		if err := inDirectory(dir, parentOf(rel[:at]), func(fd int) error {
			return unix.Mkdirat(fd, rel[at:at+next], 0o755)
		}); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
		at += next + 1
	}
	return nil
}

// parentOf is the parent of the last directory in head. head ends with a slash.
func parentOf(head string) string {
	if head == "" {
		return "."
	}
	return strings.TrimSuffix(head, "/")
}

// inDirectory opens the directory rel below dir for its names, and calls do with it.
func inDirectory(dir int, rel string, do func(fd int) error) error {
	if rel == "." {
		return do(dir)
	}
	fd, err := openBelow(dir, rel, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	err = do(fd)
	_ = unix.Close(fd) // it was opened only for its names
	return err
}
