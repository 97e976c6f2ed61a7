package filetree

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Usage is the disk space and the number of files that a tree takes.
type Usage struct {
	Bytes  int64
	Inodes int64
	// Partial says that some files could not be counted. Then the figures are a lower bound, and
	// the tree counts as above any limit.
	Partial bool
}

// Plus returns the sum of both.
func (u Usage) Plus(more Usage) Usage {
	return Usage{u.Bytes + more.Bytes, u.Inodes + more.Inodes, u.Partial || more.Partial}
}

// Exceeds reports whether it takes more than this number of bytes.
func (u Usage) Exceeds(bytes int64) bool { return u.Partial || u.Bytes > bytes }

func (u *Usage) add(st *unix.Stat_t) {
	u.Bytes += st.Blocks * 512
	u.Inodes++
}

// Part is a directory of a tree. The caller wants to know its usage, too.
type Part struct {
	Path  string // relative to the top, clean: `a/b`
	Usage Usage
}

// maxLinked bounds how many files with several names are remembered at a time. If there are more,
// each name of the others counts.
const maxLinked = 1 << 17

// fair is the number of files that a disk must be able to show in the time for a count. A disk that
// shows fewer is slow.
const fair = 10_000

// Count counts what the tree at path takes and what its parts take. Other file systems that are
// mounted in it do not count. A file with several names counts once. It is no error if path does
// not exist, or if files are removed while Count runs.
//
// The usage is Partial if something could not be read at the second attempt either, if there are
// more than max files (0 means no bound), or if ctx's deadline was too short for the files. An
// error is not caused by the tree: ctx was cancelled, the disk fails or is slow, or the process
// lacks descriptors or memory. Then the usage is a lower bound, too.
func Count(ctx context.Context, path string, max int64, parts ...*Part) (Usage, error) {
	return countTree(ctx, path, max, maxDepth, parts)
}

func countTree(ctx context.Context, path string, max int64, depth int, parts []*Part) (u Usage, err error) {
	for range 2 { // during the first count, its directories may have been moved
		c := newCounter(max, depth, parts)
		err = c.count(ctx, path)
		if u = c.sum; !errors.Is(err, errMoved) {
			break
		}
	}
	switch {
	case err == nil:
		return u, nil
	case errors.Is(err, context.DeadlineExceeded) && u.Inodes < fair:
		return u, fmt.Errorf("counting the files of %s: the disk is slow: %d were counted in time", path, u.Inodes)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errMoved), errors.Is(err, errEnough):
		u.Partial = true
		return u, nil
	}
	return u, fmt.Errorf("counting the files of %s: %w", path, err)
}

// errEnough ends a count that has reached its maximum.
var errEnough = errors.New("it has too many files")

// counter is a count that is running.
type counter struct {
	walk   walk[*share]
	sum    Usage
	max    int64
	top    *share
	linked map[uint64]uint64 // by inode: how many more names of this file there are
}

// share says which parts a directory counts for.
type share struct {
	of    *Usage // in addition to the sum; nil: no part
	below map[string]*share
	rest  *share // for directories that are not in below
}

func newShare(of *Usage) *share {
	s := &share{of: of, rest: &share{of: of}}
	s.rest.rest = s.rest
	return s
}

func newCounter(max int64, depth int, parts []*Part) *counter {
	c := &counter{walk: walk[*share]{maxDepth: depth}, max: max, top: newShare(nil), linked: map[uint64]uint64{}}
	for _, p := range parts {
		p.Usage = Usage{}
		at := c.top
		for name := range strings.SplitSeq(p.Path, "/") {
			next := at.below[name]
			if next == nil {
				next = newShare(at.of)
				if at.below == nil {
					at.below = map[string]*share{}
				}
				at.below[name] = next
			}
			at = next
		}
		at.of, at.rest.of = &p.Usage, &p.Usage
	}
	return c
}

func (s *share) child(name string) *share {
	if next := s.below[name]; next != nil {
		return next
	}
	return s.rest
}

func (c *counter) count(ctx context.Context, path string) error {
	var st unix.Stat_t
	err := statAt(unix.AT_FDCWD, path, &st)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return c.missed(c.top, err)
	}
	if err := c.add(&st, c.top); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return err
	}
	if err := c.walk.begin(unix.AT_FDCWD, path, true); err != nil {
		return c.missed(c.top, err)
	}
	defer c.walk.end()
	_, top := c.walk.here()
	top.note = c.top
	for len(c.walk.levels) > 0 {
		if err := c.walk.look(ctx); err != nil {
			return err
		}
		if err := c.step(); err != nil {
			return err
		}
	}
	return nil
}

// step counts the next entry and enters it if it is a directory. After the last entry it leaves the
// directory.
func (c *counter) step() error {
	d, level := c.walk.here()
	e, ok, err := d.peek()
	if err != nil {
		if err := c.missed(level.note, err); err != nil {
			return err
		}
	}
	if !ok {
		if err = c.walk.leave(); err != nil && !ofMachine(err) {
			err = errMoved
		}
		return err
	}
	d.take(e)
	var st unix.Stat_t
	if err := statAt(d.fd, e.name, &st); err != nil {
		return c.missed(level.note, err)
	}
	if st.Dev != c.walk.dev {
		return nil // another file system is mounted there
	}
	isDir, to := st.Mode&unix.S_IFMT == unix.S_IFDIR, level.note
	if isDir {
		to = to.child(e.name)
	}
	if err := c.add(&st, to); err != nil || !isDir {
		return err
	}
	err = c.walk.enter(e.name)
	if err != nil && !errors.Is(err, errTooDeep) {
		err = c.walk.enter(e.name) // the second attempt
	}
	switch {
	case errors.Is(err, unix.EXDEV): // the same file system is mounted there
		return nil
	case err != nil:
		return c.missed(to, err)
	}
	_, entered := c.walk.here()
	entered.note = to
	return nil
}

// statAt reads a file's attributes, and tries again if that fails.
func statAt(fd int, name string, st *unix.Stat_t) error {
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	err := unix.Fstatat(fd, name, st, flags)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		err = unix.Fstatat(fd, name, st, flags)
	}
	return err
}

// missed notes that something could not be read.
func (c *counter) missed(of *share, err error) error {
	for _, vanished := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP} { // or a file or a link has replaced it
		if errors.Is(err, vanished) {
			return nil
		}
	}
	if ofMachine(err) {
		return err
	}
	c.sum.Partial = true
	if of.of != nil {
		of.of.Partial = true
	}
	return nil
}

// ofMachine reports whether an error is a problem of the machine and not of the tree. A tenant may
// have caused it, but another tenant's tree must not suffer for it.
func ofMachine(err error) bool {
	for _, known := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EIO, unix.ENODEV, unix.ENXIO, unix.ESHUTDOWN} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// add counts a file.
func (c *counter) add(st *unix.Stat_t, to *share) error {
	if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR && c.known(st) {
		return nil
	}
	if c.max > 0 && c.sum.Inodes == c.max {
		if to.of != nil {
			to.of.Partial = true
		}
		return errEnough
	}
	if c.sum.add(st); to.of != nil {
		to.of.add(st)
	}
	return nil
}

// known reports whether a file with several names was already counted under another name.
func (c *counter) known(st *unix.Stat_t) bool {
	left, seen := c.linked[st.Ino]
	switch {
	case seen && left == 1:
		delete(c.linked, st.Ino)
	case seen:
		c.linked[st.Ino] = left - 1
	case len(c.linked) < maxLinked:
		c.linked[st.Ino] = uint64(st.Nlink) - 1
	}
	return seen
}
