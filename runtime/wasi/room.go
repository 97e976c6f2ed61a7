package wasi

import "sync"

// room bounds what a guest has open: how many descriptors, and how many of the files that all
// guests share.
type room struct {
	open, limit int
	files       *Files // nil without a bound
	held        int    // of files
	bulk        int64  // what the guest has put into files, and met in one, in bytes: see large
}

// reserve takes room for one more, before the host opens anything. release gives it back.
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

// large reports whether the guest may have large files open. Other guests' files need no look when
// they are closed, which would cost as much as closing them.
func (r *room) large() bool { return r.bulk >= slowSize }

// moved counts bytes that were put into a file.
func (r *room) moved(bytes int64) { r.bulk += min(bytes, slowSize) }

// Files is the stock of open files that the guests of an OS process share, beyond those that a
// guest has from its start. A guest gets one more while there are more left than it holds already,
// so that some are always left for a guest that has few. It is safe for concurrent use.
type Files struct {
	mu   sync.Mutex
	free int
}

// NewFiles makes a stock of n open files.
func NewFiles(n int) *Files { return &Files{free: n} }

// Free returns how many are left.
func (f *Files) Free() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.free
}

// take gives one more to a guest that holds some. Without a stock there is no bound.
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

// give takes n back.
func (f *Files) give(n int) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free += n
}
