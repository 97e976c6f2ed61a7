package filetree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxPasses bounds how often a directory is emptied while others create files in it.
const maxPasses = 64

// Remove removes the tree at path, which may be a file. A missing path is no error. If something
// cannot be removed, Remove leaves it and the directories that lead to it, removes everything else,
// and returns the first such error. If ctx ends first, it returns ctx's error, and some files are
// left.
func Remove(ctx context.Context, path string) error {
	path = filepath.Clean(path)
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close() //nolint:errcheck // it was opened only for its names
	if err := RemoveAt(ctx, dir, filepath.Base(path)); err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// RemoveAt removes the tree name in the directory dir, in the same way as Remove.
func RemoveAt(ctx context.Context, dir *os.File, name string) error {
	conn, err := dir.SyscallConn()
	if err != nil {
		return err
	}
	used := conn.Control(func(fd uintptr) { err = removeTree(ctx, int(fd), name, maxDepth) })
	return errors.Join(used, err)
}

func removeTree(ctx context.Context, at int, name string, depth int) error {
	if name == "." || name == ".." || filepath.Base(name) != name {
		return unix.EINVAL
	}
	err := unlink(at, name, unix.DT_UNKNOWN)
	for pass := 0; errors.Is(err, unix.ENOTEMPTY); pass++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := &remover{walk: walk[emptied]{maxDepth: depth}}
		if failed := r.empty(ctx, at, name); failed != nil {
			return failed
		}
		if err = unlink(at, name, unix.DT_DIR); r.removed == 0 || pass == maxPasses {
			break
		}
	}
	return located(err)
}

// remover is a removal that is running.
type remover struct {
	walk    walk[emptied]
	top     *directory // the top of the tree; directories that are too deep are moved there
	removed int64
	first   error
}

// emptied is what is remembered about a directory while it is emptied.
type emptied struct {
	removed int64 // number of all removed entries when the next entry was last entered
	passes  int32 // how often the next entry was entered
	failed  bool  // whether something in the directory cannot be removed
}

// empty removes what is in a directory.
func (r *remover) empty(ctx context.Context, at int, name string) error {
	err := r.walk.begin(at, name, false)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return located(err)
	}
	defer r.walk.end()
	r.top = &directory{}
	opened, _ := r.walk.here()
	if err := r.top.open(opened.fd, ".", false); err != nil {
		return err
	}
	defer r.top.close()
	for len(r.walk.levels) > 0 {
		if err := r.walk.look(ctx); err != nil {
			return err
		}
		d, level := r.walk.here()
		e, more, err := d.peek()
		if err != nil {
			r.fail(level, "", err)
		}
		if more {
			r.step(d, level, e)
			continue
		}
		if err := r.leave(level.note.failed); err != nil {
			return err
		}
	}
	return r.first
}

// leave goes up from a directory that was emptied. In the directory above, it is still the next
// entry.
func (r *remover) leave(failed bool) error {
	if err := r.walk.leave(); err != nil || len(r.walk.levels) == 0 || !failed {
		return err
	}
	d, level := r.walk.here()
	level.note.failed = true
	e, more, err := d.peek()
	if more {
		d.take(e)
		level.note.passes = 0
	}
	return err
}

// step removes an entry, or enters it if it is a directory with entries.
func (r *remover) step(d *directory, level *level[emptied], e entry) {
	err := unlink(d.fd, e.name, e.kind)
	switch note := &level.note; {
	case err == nil:
		r.removed++
	case !errors.Is(err, unix.ENOTEMPTY):
		r.fail(level, e.name, err)
	case note.passes > 0 && r.removed == note.removed, note.passes > maxPasses:
		r.fail(level, e.name, err)
	default:
		note.passes++
		note.removed = r.removed
		err := r.walk.enter(e.name)
		if errors.Is(err, errTooDeep) {
			err = r.moveUp(d, e.name)
		} else if err == nil {
			return // level is not valid any more
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			r.fail(level, e.name, err)
		}
	}
	d.take(e)
	level.note.passes = 0
}

// moveUp moves a directory into the top of the tree, so that its content is less deep.
func (r *remover) moveUp(d *directory, name string) error {
	err := unix.Renameat(d.fd, name, r.top.fd, fmt.Sprintf(".krustlet-wasi-deep-%x", rand.Uint64()))
	if err == nil {
		r.removed++ // so that the top is read again
	}
	return err
}

// fail notes that an entry cannot be removed. An empty name means that the directory cannot be
// read.
func (r *remover) fail(level *level[emptied], name string, err error) {
	level.note.failed = true
	if r.first != nil {
		return
	}
	at := "in it"
	if below := len(r.walk.levels) - 1; below > 0 {
		at = fmt.Sprintf("%d levels below it", below)
	}
	if name == "" {
		r.first = fmt.Errorf("a directory %s: %w", at, located(err))
		return
	}
	r.first = fmt.Errorf("%.100q %s: %w", name, at, located(err))
}

// located adds an explanation to the error of a mount point.
func located(err error) error {
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("something is mounted there: %w", err)
	}
	return err
}

// unlink removes a file or an empty directory. The error is unix.ENOTEMPTY if it is not empty. It
// is no error if it was already removed.
func unlink(fd int, name string, kind uint8) error {
	call := func(flags int) error {
		_, err := again(func() (struct{}, error) { return struct{}{}, unix.Unlinkat(fd, name, flags) })
		return err
	}
	err := error(unix.ENOTDIR)
	if kind == unix.DT_DIR {
		err = call(unix.AT_REMOVEDIR)
	}
	if errors.Is(err, unix.ENOTDIR) { // or its kind has changed in the meantime
		err = call(0)
	}
	if errors.Is(err, unix.EISDIR) {
		err = call(unix.AT_REMOVEDIR)
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EEXIST): // POSIX allows this error, too
		return unix.ENOTEMPTY
	}
	return err
}
