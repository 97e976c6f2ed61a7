package wasi

import "sync"

// room bounds the guest's open descriptors, and its share of the files that all guests share.
type room struct {
	open, limit int
	files       *Files // nil: no bound
	held        int    // number of files from this stock
	bulk        int64  // bytes that the guest wrote to files; more is added if it met a large file: see large
}

// reserve reserves room for one descriptor, before the host opens anything. release frees it.
func (r *room) reserve() error {
	switch {
	case r.open >= r.limit:
		return ErrTooManyOpen
	case !r.files.take(r.held):
		return ErrNoFiles
	}
	r.open++
	r.held++
	return nil
}

func (r *room) release() {
	r.open--
	r.held--
	r.files.give(1)
}

// large reports whether the guest may have large files open. For other guests, files are not
// checked when they are closed, because a check costs as much as closing.
func (r *room) large() bool { return r.bulk >= slowSize }

// moved counts bytes that were written to a file.
func (r *room) moved(bytes int64) { r.bulk += min(bytes, slowSize) }

// Files is the stock of open files that the guests of an OS process share. The files that a guest
// has from its start do not count. A guest gets another file only if more are free than it already
// holds, so that some are always free for a guest that holds few. It is safe for concurrent use.
type Files struct {
	mu   sync.Mutex
	free int
}

// NewFiles makes a stock of n open files.
func NewFiles(n int) *Files { return &Files{free: n} }

// Free returns how many files are free.
func (f *Files) Free() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.free
}

// Take takes one file for a guest that already holds some, which is no descriptor of it: the file
// of a connection of its HTTP requests. Without a stock there is no bound.
func (f *Files) Take(held int) bool { return f.take(held) }

// Give returns n files that Take gave.
func (f *Files) Give(n int) { f.give(n) }

// take takes one file for a guest that already holds some. Without a stock there is no bound.
func (f *Files) take(held int) bool {
	if f == nil {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.free <= held {
		return false
	}
	f.free--
	return true
}

// give returns n files to the stock.
func (f *Files) give(n int) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free += n
}
