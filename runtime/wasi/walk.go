package wasi

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// The bounds of a path and of a walk. A guest's path, the target of a link, and the canonical path
// of each location on the way must be shorter than MaxPath.
const (
	MaxPath  = 4096 // PATH_MAX of Linux, in bytes, with the zero byte
	MaxName  = 255  // NAME_MAX of Linux, in bytes
	maxLinks = 40   // links in one walk, as many as Linux follows
	maxSteps = 4096 // names in one walk, with those in links; twice as many as one path can have
)

// stepsPerLook is how many steps a walk makes between two checks whether the guest was killed. A
// step takes some microseconds.
const stepsPerLook = 8

// location is the result of a walk: a canonical guest path, and its position on the host.
type location struct {
	ns    *namespace
	guest string
	mnt   *mount
	// base, if it is not nil, is a directory of the mount that the guest holds open. Then rel is
	// relative to base instead of the mount's root. No name in rel was a link at the time of the
	// walk.
	base *Directory
	rel  string

	info    *attributes // attributes of the file, nil if there is none; set by walk
	slashed bool        // the path ended in a slash, so it can name only a directory
	dotted  bool        // the path ended in `.` or `..`, so it cannot be moved, made or removed
}

// handle is the open directory to which rel is relative.
func (p location) handle() (int, error) {
	if p.base != nil {
		return p.base.fd, nil
	}
	return p.ns.open(p.mnt)
}

// lstat returns the attributes of the file at p. It returns nil if there is none.
func (p location) lstat() (*attributes, error) {
	dir, err := p.handle()
	if err != nil {
		return nil, err
	}
	return p.found(statBelow(dir, p.rel))
}

// found is the guest's view of p, if the host found info, or err.
func (p location) found(info *attributes, err error) (*attributes, error) {
	if (err != nil || !info.isDir()) && p.ns.above[p.guest] != nil {
		return virtualAttributes(p.guest), nil
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return info, nil
}

// child is the location of an entry of the directory p. It does not check whether the entry exists.
func (p location) child(name string) location {
	guest := join(p.guest, name)
	if p.ns.mounts[guest] != nil {
		return p.ns.locate(guest)
	}
	rel := name
	if p.rel != "." {
		rel = p.rel + "/" + name
	}
	return location{ns: p.ns, guest: guest, mnt: p.mnt, base: p.base, rel: rel}
}

// parent is the directory that contains p.
func (p location) parent() location {
	dir := parentPath(p.guest)
	if p.rel == "." || p.ns.mounts[p.guest] != nil {
		return p.ns.locate(dir)
	}
	rel := "."
	if slash := strings.LastIndexByte(p.rel, '/'); slash >= 0 {
		rel = p.rel[:slash]
	}
	return location{ns: p.ns, guest: dir, mnt: p.mnt, base: p.base, rel: rel}
}

// join and parentPath are path.Join and path.Dir for canonical paths. They do not clean the path,
// because that takes as long as a system call.
func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

func parentPath(guest string) string { return guest[:max(strings.LastIndexByte(guest, '/'), 1)] }

// walk resolves the guest's path name, starting at the directory at. It follows links on the way.
// It follows a link at the end only with follow (or before a trailing slash). A missing file at the
// end is no error. Something on the way that is missing or is no directory is an error. A `..` that
// the guest itself wrote cannot go above the directory where the walk began. At the root it stays
// there, as in any Unix. If the guest is confined, no `..` and no link can lead above that
// directory, the root included.
//
// The cost of a walk is proportional to its steps, because each step looks up one name in an open
// directory. A long walk returns ErrKilled if ctx ends.
func (ns *namespace) walk(ctx context.Context, at location, name string, follow bool) (location, error) {
	switch {
	case name == "":
		return location{}, ErrNotExist
	case name[0] == '/':
		return location{}, ErrNotPermitted
	case len(name) >= MaxPath:
		return location{}, ErrNameTooLong
	}
	w := walker{ns: ns, at: at, from: at.guest, rest: name, own: len(name), follow: follow}
	defer w.near.leave(0)
	for w.rest != "" {
		if w.steps++; w.steps > maxSteps {
			return location{}, ErrNameTooLong
		}
		if w.steps%stepsPerLook == 0 && ctx.Err() != nil {
			return location{}, ErrKilled
		}
		if err := w.step(); err != nil {
			return location{}, err
		}
	}
	if w.at.info == nil && !w.missing {
		info, err := w.at.lstat()
		if err != nil {
			return location{}, err
		}
		w.at.info = info
	}
	if w.at.slashed && w.at.info != nil && !w.at.info.isDir() {
		return location{}, ErrNotDirectory
	}
	return w.at, nil
}

// walker is a running walk.
type walker struct {
	ns      *namespace
	at      location
	from    string // the guest path where the walk began
	rest    string // the part of the path that is not yet walked
	own     int    // how many bytes at the end of rest come from the guest itself, and not from a link
	links   int    // links followed so far
	steps   int    // names looked up so far
	near    nearby // directories on the way to at
	follow  bool
	missing bool // the last name does not exist
}

func (w *walker) step() error {
	own := len(w.rest) <= w.own
	name, rest, slash := strings.Cut(w.rest, "/")
	w.rest = strings.TrimLeft(rest, "/")
	last := w.rest == ""
	if name == "" { // a link may contain any text
		return nil
	}
	if w.missing {
		return ErrNotExist
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
	if len(name) > MaxName {
		return ErrNameTooLong
	}
	next := w.at.child(name)
	if len(next.guest) >= MaxPath {
		return ErrNameTooLong
	}
	info, err := w.look(next, name)
	if err != nil {
		return err
	}
	if info != nil && info.isLink() && w.ns.mounts[next.guest] == nil && (!last || slash || w.follow) {
		return w.expand(name, last && slash)
	}
	if info == nil && !last {
		return ErrNotExist
	}
	next.info, next.slashed = info, last && slash
	w.move(next)
	w.missing = info == nil
	return nil
}

// look returns the attributes of next, which is the entry name in the current directory.
func (w *walker) look(next location, name string) (*attributes, error) {
	if next.mnt != w.at.mnt { // a mount point
		return next.lstat()
	}
	dir, err := w.near.directory(w.at)
	if err != nil {
		return next.found(nil, err)
	}
	if w.rest != "" && w.rest[0] != '.' { // the walk continues in this directory
		return next.found(w.near.enter(dir, name, next))
	}
	return next.found(statBelow(dir, name))
}

// move sets the position of the walk to p.
func (w *walker) move(p location) {
	switch {
	case p.mnt != w.at.mnt || p.base != w.at.base || p.rel == ".":
		w.near.leave(0)
	default:
		w.near.leave(len(p.rel))
	}
	w.at = p
}

func (w *walker) mustBeDir() error {
	if w.at.info != nil && !w.at.info.isDir() {
		return ErrNotDirectory
	}
	return nil
}

func (w *walker) up(own, last bool) error {
	if err := w.mustBeDir(); err != nil {
		return err
	}
	if w.at.guest == w.from && (w.ns.confined || own && w.from != "/") {
		return ErrNotPermitted
	}
	w.move(w.at.parent())
	w.at.dotted = last
	return nil
}

// expand puts the target of a link in front of the rest of the path. name is the link's name in the
// current directory.
func (w *walker) expand(name string, slash bool) error {
	if w.links++; w.links > maxLinks {
		return ErrLoop
	}
	dir, err := w.near.directory(w.at)
	if err != nil {
		return err
	}
	target, err := readlinkIn(dir, name)
	if err != nil {
		return err
	}
	if len(target)+len(w.rest) >= 2*MaxPath {
		return ErrNameTooLong
	}
	if strings.HasPrefix(target, "/") {
		if w.ns.confined && w.from != "/" {
			return ErrNotPermitted
		}
		w.move(w.ns.locate("/"))
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
