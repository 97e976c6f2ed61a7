package filetree

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Usage is how much of a disk files take.
type Usage struct {
	Bytes  int64
	Inodes int64
	// Partial says that there is more, which could not be counted. The figures are a lower bound,
	// and what is bounded takes too much.
	Partial bool
}

// Plus returns the sum of both.
func (u Usage) Plus(more Usage) Usage {
	return Usage{u.Bytes + more.Bytes, u.Inodes + more.Inodes, u.Partial || more.Partial}
}

// Exceeds reports whether it takes more than that many bytes.
func (u Usage) Exceeds(bytes int64) bool { return u.Partial || u.Bytes > bytes }

func (u *Usage) add(st *unix.Stat_t) {
	u.Bytes += st.Blocks * 512
	u.Inodes++
}

// Part is a directory of a tree whose own usage the caller wants to know as well.
type Part struct {
	Path  string // below the top, clean: `a/b`
	Usage Usage
}

// maxLinked bounds how many files with several names are remembered at a time. Beyond it, each name
// counts.
const maxLinked = 1 << 17

// fair is how many files a disk that is not slow can show in the time that a count may take.
const fair = 10_000

// Count counts what the tree at path takes, without what is mounted in it, and what its parts take.
// A file with several names counts once. It is no error if there is nothing at path, or if files
// are removed while it counts.
//
// The usage is Partial if a second look could not read something either, if there are more than max
// files (0 is no bound), or if ctx has a deadline that was not enough for them. An error does not
// concern the tree: ctx has ended otherwise, the disk fails or is slow, or the process lacks
// descriptors or memory. Then the usage is a lower bound, too.
func Count(ctx context.Context, path string, max int64, parts ...*Part) (Usage, error) {
	return countTree(ctx, path, max, maxDepth, parts)
}

func countTree(ctx context.Context, path string, max int64, depth int, parts []*Part) (u Usage, err error) {
	for range 2 { // the first time, its directories may have been moved meanwhile
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
		return u, fmt.Errorf("counting the files of %s: the disk is slow: %d in the time that there was", path, u.Inodes)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errMoved), errors.Is(err, errEnough):
		u.Partial = true
		return u, nil
	}
	return u, fmt.Errorf("counting the files of %s: %w", path, err)
}

// errEnough ends a count.
var errEnough = errors.New("it has too many files")

// counter is a count.
type counter struct {
	walk   walk[*share]
	sum    Usage
	max    int64
	top    *share
	linked map[uint64]uint64 // by inode: how many names are still to come
}

// share says to which parts a directory counts.
type share struct {
	of    *Usage // besides the sum; nil: no part
	below map[string]*share
	rest  *share // of directories that are not in below
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

// step counts the next entry, and goes into it or out of the directory.
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
		return nil // something else is mounted there
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
		err = c.walk.enter(e.name) // the second look
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

// statAt looks at a file, and again if that fails.
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
	for _, vanished := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP} { // or it has become a file, or a link
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

// ofMachine reports whether an error says nothing of the tree, even if a tenant caused it: no
// tenant must pay for it.
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

// known reports whether a file with several names was counted under another one.
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
