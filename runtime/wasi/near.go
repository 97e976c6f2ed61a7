package wasi

import "golang.org/x/sys/unix"

// nearby are the directories that a walk came through last, held open. The walk looks the next name
// up in one of them, and not from the mount's root again, so that a walk costs as much as it has
// steps. They are few, as descriptors are few: a walk that goes further up than they reach pays
// once for the longer way down.
type nearby struct {
	list [4]pinned
	n    int
}

// pinned is an open directory below a location's handle.
type pinned struct {
	fd  int
	rel int // the length of its path below the handle, which is the start of all further ones
}

// directory is the directory at p, open until the walk leaves it. All that are held lie on the way
// to p.
func (n *nearby) directory(p location) (int, error) {
	from, err := p.handle()
	if err != nil || p.rel == "." {
		return from, err
	}
	rel := p.rel
	if n.n > 0 {
		last := n.list[n.n-1]
		if last.rel == len(rel) {
			return last.fd, nil
		}
		from, rel = last.fd, rel[last.rel+1:]
	}
	fd, err := openBelow(from, rel, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, err
	}
	n.keep(fd, len(p.rel))
	return fd, nil
}

// enter looks at what is at p, the entry of that name in the open directory dir, and holds it open
// if it is a directory.
func (n *nearby) enter(dir int, name string, p location) (*attributes, error) {
	fd, err := openBelow(dir, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	info := &attributes{}
	err = unix.Fstat(fd, &info.Stat_t)
	if err == nil && info.isDir() {
		n.keep(fd, len(p.rel))
	} else {
		_ = unix.Close(fd) // opened for its name only
	}
	return info, err
}

func (n *nearby) keep(fd, rel int) {
	if n.n == len(n.list) {
		_ = unix.Close(n.list[0].fd) // opened for its names only, as all of them
		copy(n.list[:], n.list[1:])
		n.n--
	}
	n.list[n.n] = pinned{fd: fd, rel: rel}
	n.n++
}

// leave closes the directories that are not on the way to a directory whose path below the handle
// has that length.
func (n *nearby) leave(rel int) {
	for n.n > 0 && n.list[n.n-1].rel > rel {
		n.n--
		_ = unix.Close(n.list[n.n].fd)
	}
}
