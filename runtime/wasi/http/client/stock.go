package client

import "sync"

// Stock is a number of requests that all guests of an OS process share. A guest gets another one
// only if more are free than it already holds, so that some are always free for one that has few.
// It is safe for concurrent use. A nil Stock has no bound.
type Stock struct {
	mu   sync.Mutex
	free int
}

// NewStock makes a stock of n requests.
func NewStock(n int) *Stock { return &Stock{free: n} }

// take takes a request for a guest that already has some under way.
func (s *Stock) take(held int) bool {
	if s == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free <= held {
		return false
	}
	s.free--
	return true
}

func (s *Stock) give() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
}

// Free is how many requests are free.
func (s *Stock) Free() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}
