package wasi

import "sync"

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
