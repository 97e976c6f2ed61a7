package wasi

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// The bounds of a path, and of the walk along it. A path that a guest writes, the target of a link,
// and the canonical path of each location on the way are shorter than MaxPath.
const (
	MaxPath  = 4096 // PATH_MAX of Linux, bytes, the zero byte included
	MaxName  = 255  // NAME_MAX of Linux, bytes
	maxLinks = 40   // links in one walk, as many as Linux follows
	maxSteps = 4096 // names in one walk, with those in links; twice what fits one path
)

// stepsPerLook is how many steps a walk makes before it looks whether the guest was killed. A step
// costs some microseconds.
const stepsPerLook = 8

// location is what a path leads to: a canonical guest path, and what that is on the host.
type location struct {
	ns    *namespace
	guest string
	mnt   *mount
	// base, if it is not nil, is a directory of the mount that the guest holds open. Then rel is
	// relative to it instead of the mount's root. No name in rel was a link when it was walked.
	base *Directory
	rel  string

	info    *attributes // what is there, nil for nothing; set by walk
	slashed bool        // the path ended in a slash, so it can only name a directory
	dotted  bool        // the path ended in `.` or `..`, so it cannot be moved, made or removed
}

// handle is the open directory that rel begins at.
func (p location) handle() (int, error) {
	if p.base != nil {
		return p.base.fd, nil
	}
	return p.mnt.open()
}

// lstat looks at what is there. It returns nil for nothing.
func (p location) lstat() (*attributes, error) {
	dir, err := p.handle()
	if err != nil {
		return nil, err
	}
	return p.found(statBelow(dir, p.rel))
}

// found is what the guest sees at p, if the host found info, or err.
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

// child is the location of an entry of the directory p. It does not look whether the entry exists.
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

// parent is the directory that holds p.
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
// which would take as long as a call of the kernel.
func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

func parentPath(guest string) string { return guest[:max(strings.LastIndexByte(guest, '/'), 1)] }

// walk resolves the guest's path name from the directory at. It follows links on the way, and a
// link at the end only with follow (or before a trailing slash). It is no error if nothing is at
// the end; it is one if something on the way is missing or is no directory. The `..` that the guest
// itself wrote cannot climb above the directory that the walk began at. At the root it stays there,
// as in any Unix.
//
// The cost of a walk grows with its steps: each looks at one name in a directory that is open. A
// long walk returns ErrKilled if ctx ends.
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

// walker is a walk under way.
type walker struct {
	ns      *namespace
	at      location
	from    string // the guest path that the walk began at
	rest    string // what is still to be walked
	own     int    // how many of rest's last bytes the guest wrote itself, and not a link
	links   int    // links followed so far
	steps   int    // names looked at so far
	near    nearby // directories on the way to at
	follow  bool
	missing bool // the last name does not exist
}

func (w *walker) step() error {
	own := len(w.rest) <= w.own
	name, rest, slash := strings.Cut(w.rest, "/")
	w.rest = strings.TrimLeft(rest, "/")
	last := w.rest == ""
	if name == "" { // a link may hold any text
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

// look returns what is at next, the entry of that name in the directory that the walk has reached.
func (w *walker) look(next location, name string) (*attributes, error) {
	if next.mnt != w.at.mnt { // a mount point
		return next.lstat()
	}
	dir, err := w.near.directory(w.at)
	if err != nil {
		return next.found(nil, err)
	}
	if w.rest != "" && w.rest[0] != '.' { // the walk goes on in there
		return next.found(w.near.enter(dir, name, next))
	}
	return next.found(statBelow(dir, name))
}

// move takes the walk to p.
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
	if own && w.at.guest == w.from && w.from != "/" {
		return ErrNotPermitted
	}
	w.move(w.at.parent())
	w.at.dotted = last
	return nil
}

// expand puts the target of a link before the rest of the path. The link has that name in the
// directory that the walk has reached.
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
