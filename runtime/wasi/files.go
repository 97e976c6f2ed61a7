package wasi

import "sync"

// Files is what the guests of a process share of the files that it may have open, beyond those that a guest has from
// its start. One that wants many gets them while there are more than it holds already, so that there are always some
// left for a guest that has few. It is safe for concurrent use.
type Files struct {
	mu   sync.Mutex
	free int
}

// NewFiles makes a stock of n open files.
func NewFiles(n int) *Files { return &Files{free: n} }

// take gives one more to a guest that holds some. There is no bound without a stock.
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
