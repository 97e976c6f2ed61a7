package wasi

import (
	"bytes"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	maxPath  = 4096 // PATH_MAX of Linux, bytes, the zero byte included
	maxLinks = 40   // as many links as Linux follows in one walk
)

// place is where a path leads: a canonical guest path and what it is on the host.
type place struct {
	ns    *namespace
	guest string
	mnt   *mount
	// base, where it is not nil, is a directory of the mount that the guest holds open, and rel is relative to
	// it instead of the mount's root. No component of rel was a link when it was walked.
	base *directory
	rel  string

	info    *attributes // what is there, nil for nothing; set by walk
	slashed bool        // the path ended in a slash, so it can only name a directory
	dotted  bool        // the path ended in `.` or `..`, so it cannot be moved, made or removed
}

// handle is the directory that rel begins at.
func (p place) handle() (int, error) {
	if p.base != nil {
		return p.base.fd, nil
	}
	return p.mnt.open()
}

// lstat looks at what is there. It returns nil for nothing.
func (p place) lstat() (*attributes, error) {
	dir, err := p.handle()
	if err != nil {
		return nil, err
	}
	info, err := statBelow(dir, p.rel)
	if p.ns.above[p.guest] != nil && (err != nil || !info.isDir()) {
		return virtualAttributes(p.guest), nil
	}
	if err == unix.ENOENT {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return info, nil
}

// child is the place of an entry of the directory p. It does not look whether it is there.
func (p place) child(name string) place {
	guest := path.Join(p.guest, name)
	if p.ns.mounts[guest] != nil {
		return p.ns.locate(guest)
	}
	return place{ns: p.ns, guest: guest, mnt: p.mnt, base: p.base, rel: path.Join(p.rel, name)}
}

// parent is the directory that holds p.
func (p place) parent() place {
	dir := path.Dir(p.guest)
	if p.rel == "." || p.ns.mounts[p.guest] != nil {
		return p.ns.locate(dir)
	}
	return place{ns: p.ns, guest: dir, mnt: p.mnt, base: p.base, rel: path.Dir(p.rel)}
}

// walk resolves the guest's path name from the directory at. Links on the way are followed, the last component's
// only with follow (or before a trailing slash). That nothing is at the end is no error; that something on
// the way is missing or no directory is. The guest's own `..` cannot climb above the directory that it
// names, except that it may at the root, as in any Unix.
func (ns *namespace) walk(at place, name string, follow bool) (place, error) {
	if name == "" {
		return place{}, ErrnoNoent
	}
	if name[0] == '/' {
		return place{}, ErrnoPerm
	}
	w := walker{ns: ns, at: at, from: at.guest, rest: name, own: len(name), follow: follow}
	for w.rest != "" {
		if err := w.step(); err != nil {
			return place{}, err
		}
	}
	if w.at.info == nil && !w.missing {
		info, err := w.at.lstat()
		if err != nil {
			return place{}, err
		}
		w.at.info = info
	}
	if w.at.slashed && w.at.info != nil && !w.at.info.isDir() {
		return place{}, ErrnoNotdir
	}
	return w.at, nil
}

// walker is a walk under way.
type walker struct {
	ns      *namespace
	at      place
	from    string // the guest path that the walk began at
	rest    string // what is still to be walked
	own     int    // how many of rest's last bytes the guest wrote itself, and not a link
	links   int    // links followed so far
	follow  bool
	missing bool // the last component is not there
}

func (w *walker) step() error {
	own := len(w.rest) <= w.own
	name, rest, slash := strings.Cut(w.rest, "/")
	last := strings.Trim(rest, "/") == ""
	if last {
		rest = ""
	}
	w.rest = rest
	if name == "" { // a doubled slash
		return nil
	}
	if w.missing {
		return ErrnoNoent
	}
	switch name {
	case ".":
		if err := w.mustBeDir(); err != nil {
			return err
		}
		w.at.dotted = last
		return nil
	case "..":
		return w.up(own, last)
	}
	if err := w.mustBeDir(); err != nil {
		return err
	}
	next := w.at.child(name)
	info, err := next.lstat()
	if err != nil {
		return err
	}
	if info != nil && info.isLink() && w.ns.mounts[next.guest] == nil && (!last || slash || w.follow) {
		return w.expand(next, last && slash)
	}
	if info == nil && !last {
		return ErrnoNoent
	}
	next.info, next.slashed = info, last && slash
	w.at, w.missing = next, info == nil
	return nil
}

func (w *walker) mustBeDir() error {
	if w.at.info != nil && !w.at.info.isDir() {
		return ErrnoNotdir
	}
	return nil
}

func (w *walker) up(own, last bool) error {
	if err := w.mustBeDir(); err != nil {
		return err
	}
	if own && w.at.guest == w.from && w.from != "/" {
		return ErrnoPerm
	}
	w.at = w.at.parent()
	w.at.dotted = last
	return nil
}

// expand puts a link's target before what is left to walk.
func (w *walker) expand(link place, slash bool) error {
	if w.links++; w.links > maxLinks {
		return ErrnoLoop
	}
	dir, err := link.handle()
	if err != nil {
		return err
	}
	target, err := readlinkBelow(dir, link.rel)
	if err != nil {
		return err
	}
	if len(target)+len(w.rest) >= 2*maxPath {
		return ErrnoNametoolong
	}
	if strings.HasPrefix(target, "/") {
		w.at = w.ns.locate("/")
		target = strings.TrimLeft(target, "/")
		if target == "" {
			target = "."
		}
	}
	w.own = min(w.own, len(w.rest))
	switch {
	case w.rest != "":
		target += "/" + w.rest
	case slash:
		target += "/"
	}
	w.rest = target
	return nil
}

// checkedPath is the path that a guest wrote. The kernel's strings end at a zero byte, and WASI's are UTF-8.
func checkedPath(b []byte) (string, error) {
	if bytes.IndexByte(b, 0) >= 0 {
		return "", ErrnoInval
	}
	if !utf8.Valid(b) {
		return "", ErrnoIlseq
	}
	return string(b), nil
}
