package wasmtime

import (
	"fmt"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/network"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
)

// maxRequests is how many HTTP requests of all guests are under way: some 64 KiB each.
const maxRequests = 4096

// requests are the HTTP requests that a run sends, with its commands.
type requests struct {
	*client.Client
	memory requestMemory
}

// newRequests makes the client of a run.
func (e *Engine) newRequests(n *network.Network, spec runtime.Network) (*requests, error) {
	r := &requests{}
	c, err := client.New(client.Config{
		Network: n, Roots: spec.Roots, MaxRequests: spec.MaxRequests, Stock: e.requests, Files: e.files, Memory: &r.memory,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing HTTP requests: %w", err)
	}
	r.Client = c
	return r, nil
}

// close ends all requests. From then on, nothing counts for the account.
func (r *requests) close() {
	r.Close()
	r.memory.close()
}

// addTo adds what the requests have moved, and hold.
func (r *requests) addTo(s *runtime.Stats) {
	if r == nil {
		return
	}
	t := r.Traffic()
	s.Traffic.Received += t.Received
	s.Traffic.Sent += t.Sent
	s.Traffic.ReceiveErrors += t.ReceiveErrors
	s.Traffic.SendErrors += t.SendErrors
	s.Memory += r.memory.held()
}

// requestMemory is the memory of requests, which counts for the account of the run. It implements
// client.Memory.
type requestMemory struct {
	mu      sync.Mutex
	account *account // nil before the run, and after it
	taken   int64
}

// pay says from which account the memory is taken.
func (m *requestMemory) pay(a *account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.account = a
}

// Take implements client.Memory.
func (m *requestMemory) Take(n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.account == nil || !m.account.take(n) {
		return false
	}
	m.taken += int64(n)
	return true
}

// Give implements client.Memory.
func (m *requestMemory) Give(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.account != nil {
		m.account.give(n)
		m.taken -= int64(n)
	}
}

func (m *requestMemory) held() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken
}

// close gives back all memory. What is given after it does not count.
func (m *requestMemory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.account != nil {
		m.account.give(int(m.taken))
	}
	m.account, m.taken = nil, 0
}
