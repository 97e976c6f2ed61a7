package wasi

import "golang.org/x/sys/unix"

// nearby holds the last directories of a walk open. The walk looks up the next name in one of them,
// and not from the mount's root again, so that a walk's cost is proportional to its steps. They are
// few, to save descriptors. A walk that goes up further than they reach pays once for the longer
// way down.
type nearby struct {
	list [4]pinned
	n    int
}

// pinned is an open directory below a location's handle.
type pinned struct {
	fd  int
	rel int // length of its path below the handle, which is the beginning of all later ones
}

// directory is the directory at p. It stays open until the walk leaves it. All directories in the
// list are on the path to p.
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

// enter reads the attributes of p, the entry name in the open directory dir. If it is a directory,
// it is held open.
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
		_ = unix.Close(fd) // it was opened only for its name
	}
	return info, err
}

func (n *nearby) keep(fd, rel int) {
	if n.n == len(n.list) {
		_ = unix.Close(n.list[0].fd) // like all of them, it was opened only for its names
		copy(n.list[:], n.list[1:])
		n.n--
	}
	n.list[n.n] = pinned{fd: fd, rel: rel}
	n.n++
}

// leave closes the directories whose path below the handle is longer than rel.
func (n *nearby) leave(rel int) {
	for n.n > 0 && n.list[n.n-1].rel > rel {
		n.n--
		_ = unix.Close(n.list[n.n].fd)
	}
}
