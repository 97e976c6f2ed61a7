package filetree

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

const (
	// window is how many directories a walk has open at a time. These are the deepest ones.
	window = 16
	// maxDepth bounds how many levels a walk remembers.
	maxDepth = 1 << 18
	// looks is how many entries a walk reads between two checks of the context.
	looks = 64
)

// errMoved means that a directory is not where the walk found it.
var errMoved = errors.New("its directories are being moved")

// errTooDeep means that a tree has more levels than a walk remembers.
var errTooDeep = errors.New("it has too many levels")

// level is a directory on the path of a walk. All are of one file system.
type level[T any] struct {
	ino  uint64
	next int64 // where reading continues if the directory is not open
	note T     // for the user of the walk
}

// walk is a walk through a tree.
type walk[T any] struct {
	maxDepth int
	dev      uint64
	levels   []level[T]
	open     []*directory // the directories of the last levels, at most window
	spare    []*directory // closed
	looked   int
}

// begin opens the top, a directory.
func (w *walk[T]) begin(at int, name string, crossing bool) error {
	d := w.unused()
	if err := d.open(at, name, crossing); err != nil {
		return err
	}
	w.dev = d.dev
	w.push(d)
	return nil
}

// end closes all open directories.
func (w *walk[T]) end() {
	for _, d := range w.open {
		d.close()
	}
	w.open = nil
}

// here returns the current directory and its level.
func (w *walk[T]) here() (*directory, *level[T]) {
	return w.open[len(w.open)-1], &w.levels[len(w.levels)-1]
}

// enter enters a directory.
func (w *walk[T]) enter(name string) error {
	if len(w.levels) >= w.maxDepth {
		return errTooDeep
	}
	above, _ := w.here()
	d := w.unused()
	if err := d.open(above.fd, name, false); err != nil {
		return err
	}
	if d.dev != w.dev {
		d.close()
		return unix.EXDEV
	}
	w.push(d)
	return nil
}

func (w *walk[T]) push(d *directory) {
	if len(w.open) == window {
		top := w.open[0]
		w.levels[len(w.levels)-window].next = top.next
		top.close()
		w.spare = append(w.spare, top)
		w.open = append(w.open[:0], w.open[1:]...)
	}
	w.levels = append(w.levels, level[T]{ino: d.ino})
	w.open = append(w.open, d)
}

// leave goes up. From the top it leaves the tree; then no directory is open.
func (w *walk[T]) leave() error {
	d, _ := w.here()
	w.levels, w.open = w.levels[:len(w.levels)-1], w.open[:len(w.open)-1]
	defer func() {
		d.close()
		w.spare = append(w.spare, d)
	}()
	if len(w.levels) == 0 || len(w.open) > 0 {
		return nil
	}
	above, to := w.unused(), &w.levels[len(w.levels)-1]
	err := above.open(d.fd, "..", false)
	switch {
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.ENOENT):
		return errMoved
	case err != nil:
		return err
	}
	w.open = append(w.open, above)
	if above.ino != to.ino || above.dev != w.dev {
		return errMoved
	}
	return above.goOn(to.next)
}

// unused returns a directory that is not open.
func (w *walk[T]) unused() *directory {
	if n := len(w.spare); n > 0 {
		d := w.spare[n-1]
		w.spare = w.spare[:n-1]
		return d
	}
	return &directory{}
}

// look returns the error of a context that has ended. It checks the context only at some of its
// calls.
func (w *walk[T]) look(ctx context.Context) error {
	if w.looked++; w.looked%looks != 0 {
		return nil
	}
	return ctx.Err()
}
