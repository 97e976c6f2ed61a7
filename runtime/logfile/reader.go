package logfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Read copies the text of the log file at path to w, as opts says. After each batch, and before it waits
// for more, it calls w's Flush (or FlushError) method, if w has one.
//
// It returns nil when the log has ended or the byte limit is reached, ctx's error when that ended before,
// an error that wraps fs.ErrNotExist when there is no such file, and w's error when a write failed. It
// blocks while w does, and starts nothing that outlives it. A log that is not followed is read up to where
// the file ends when its end is reached.
func Read(ctx context.Context, w io.Writer, path string, opts Options) error {
	show, err := opts.shows()
	if err != nil {
		return fmt.Errorf("read container log: %w", err)
	}
	// Events come for the file itself, not for a link to it.
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("read container log: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read container log: %w", err)
	}
	defer func() { _ = f.Close() }()

	r := &reader{f: sizedFile{f}, printer: newPrinter(w, &opts, show)}
	if err := r.seek(opts.TailLines); err != nil {
		return fmt.Errorf("read container log: %w", err)
	}
	if !opts.Follow {
		_, err := r.drain(ctx)
		return err
	}
	return r.follow(ctx, path, opts.Watcher, opts.Done)
}

// reader is one Read under way.
type reader struct {
	f       file
	scan    *scanner
	printer *printer
}

// seek sets where reading starts.
func (r *reader) seek(tail *int64) error {
	if tail == nil {
		r.scan = newScanner(r.f, 0)
		return nil
	}
	size, err := r.f.size()
	if err != nil {
		return err
	}
	if size, err = wholeLines(r.f, size); err != nil {
		return err
	}
	r.printer.start, err = tailStart(r.f, size, *tail, r.printer.show)
	if err != nil {
		return err
	}
	from := size
	for s, start := range r.printer.start {
		if r.printer.show[s] {
			from = min(from, start)
		}
	}
	r.scan = newScanner(r.f, from)
	return nil
}

// wholeLines returns how many of the file's first size bytes are whole lines.
func wholeLines(f io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 4<<10)
	for size > 0 {
		low := max(0, size-int64(len(buf)))
		n, err := f.ReadAt(buf[:size-low], low)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i := n - 1; i >= 0; i-- {
			if buf[i] == '\n' {
				return low + int64(i) + 1, nil
			}
		}
		size = low
	}
	return 0, nil
}

// drain shows all that is in the file, and answers whether the byte limit was reached.
func (r *reader) drain(ctx context.Context) (full bool, err error) {
	for {
		line, at, err := r.scan.next()
		if errors.Is(err, io.EOF) {
			return r.printer.full(), r.printer.flush()
		}
		if err != nil {
			return false, fmt.Errorf("read container log: %w", err)
		}
		rec, ok := parse(line)
		if !ok {
			continue
		}
		if err := r.printer.print(rec, at); err != nil {
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

// follow shows what is in the file and what comes, until the log has ended.
func (r *reader) follow(ctx context.Context, path string, watcher *Watcher, done <-chan struct{}) (err error) {
	if watcher == nil {
		watcher, err = NewWatcher()
		if err != nil {
			return err
		}
		defer func() { _ = watcher.Close() }()
	}
	// Subscribed before the file is read: a write that the reading misses is notified.
	sub, err := watcher.subscribe(path)
	if err != nil {
		return err
	}
	defer watcher.unsubscribe(sub)
	for ended := false; ; {
		if full, err := r.drain(ctx); err != nil || full || ended {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-done:
			ended = true
		case <-sub.gone:
			ended = true
		case <-sub.wrote:
		}
	}
}

// sizedFile makes an *os.File a file.
type sizedFile struct{ *os.File }

func (f sizedFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
