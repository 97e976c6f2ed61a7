package logfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"
)

// Read copies the text of the log at path to w, from all of its existing files, as opts says. It
// calls w's Flush (or FlushError) method, if w has one, after each batch and before it waits for
// more.
//
// It returns nil when the log has ended or the byte limit is reached, ctx's error when ctx ended
// first, an error that wraps fs.ErrNotExist when there is no such log, and w's error when a write
// failed. It blocks while w does. When it returns, no goroutine of it is left. Without Follow it
// reads to the end of the file that was the newest one at the start.
func Read(ctx context.Context, w io.Writer, path string, opts Options) error {
	show, err := opts.shows()
	if err != nil {
		return fmt.Errorf("reading container log: %w", err)
	}
	if path, err = resolve(path); err != nil {
		return fmt.Errorf("reading container log: %w", err)
	}
	r := &reader{path: path, printer: newPrinter(w, &opts, show)}
	defer r.close()
	if err := r.open(opts.TailLines); err != nil {
		return fmt.Errorf("reading container log: %w", err)
	}
	if !opts.Follow {
		_, err := r.drain(ctx)
		return err
	}
	return r.follow(ctx, opts.Watcher, opts.Done)
}

// resolve follows links, because events come for the file itself, and rotated files are beside it.
// The file may be missing for a moment during a rotation.
func resolve(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, os.ErrNotExist) {
		return real, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}

// reader is one running Read.
type reader struct {
	path    string
	parts   []*part // the current part, and those after it that are already open
	scan    *scanner
	printer *printer
}

// open opens the files that Read will show, and sets the position where reading starts.
func (r *reader) open(tail *int64) (err error) {
	p := r.printer
	if tail == nil {
		p.start = [streams]int64{math.MinInt64, math.MinInt64}
		r.parts, err = openParts(r.path, func(*part, int64) (bool, error) { return true, nil })
	} else {
		t := newTailer(0, *tail, p.show)
		r.parts, err = openParts(r.path, func(f *part, size int64) (bool, error) {
			err := t.scan(f, size, f.base)
			return !t.done(), err
		})
		p.start = t.start
	}
	if err != nil {
		return err
	}
	from := int64(0)
	for s, start := range p.start {
		if p.show[s] {
			from = min(from, start)
		}
	}
	for len(r.parts) > 1 && r.parts[1].base <= from {
		r.next()
	}
	r.scan = newScanner(r.parts[0], max(from-r.parts[0].base, 0))
	return nil
}

// next moves to the next part.
func (r *reader) next() {
	_ = r.parts[0].Close()
	r.parts = r.parts[1:]
}

func (r *reader) close() {
	for len(r.parts) > 0 {
		r.next()
	}
}

// drain shows everything in the open files, and reports whether the byte limit was reached.
func (r *reader) drain(ctx context.Context) (full bool, err error) {
	for {
		line, at, err := r.scan.next()
		if errors.Is(err, io.EOF) {
			if len(r.parts) == 1 {
				return r.printer.full(), r.printer.flush()
			}
			r.next()
			r.scan.restart(r.parts[0])
			continue
		}
		if err != nil {
			return false, fmt.Errorf("reading container log: %w", err)
		}
		rec, ok := parse(line)
		if !ok {
			continue
		}
		if err := r.printer.print(rec, r.parts[0].base+at); err != nil {
			return false, err
		}
		if r.printer.full() {
			return true, r.printer.flush()
		}
		if len(r.printer.out) == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
}

// follow shows the log and new text, until the log has ended.
func (r *reader) follow(ctx context.Context, watcher *Watcher, done <-chan struct{}) (err error) {
	if watcher == nil {
		watcher, err = NewWatcher()
		if err != nil {
			return err
		}
		defer func() { _ = watcher.Close() }()
	}
	// It subscribes before it reads the file, so that it is notified of a write that the reading
	// misses.
	sub, err := watcher.subscribe(r.path)
	if err != nil {
		return err
	}
	defer watcher.unsubscribe(sub)
	for more := true; ; {
		if full, err := r.drainAll(ctx); err != nil || full || !more {
			return err
		}
		if more, err = sub.await(ctx, done, time.Now().Add(watcher.pause())); err != nil {
			return err
		}
	}
}

// drainAll shows everything in the log, and reports whether the byte limit was reached.
func (r *reader) drainAll(ctx context.Context) (full bool, err error) {
	for {
		if full, err := r.drain(ctx); err != nil || full {
			return full, err
		}
		last := r.parts[len(r.parts)-1]
		next, torn, err := openNext(r.path, last)
		if err != nil {
			return false, fmt.Errorf("reading container log: %w", err)
		}
		if next == nil {
			return false, nil
		}
		// After the last file was drained and before it was rotated, more text may have been
		// written to it.
		full, err = r.drain(ctx)
		if torn {
			r.printer.tear()
		}
		next.base = last.base + r.scan.off
		r.parts = append(r.parts, next)
		if err != nil || full {
			return full, err
		}
	}
}
