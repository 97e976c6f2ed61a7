package wasmtime

import "sync"

// calls counts the host calls of all guests, by function of the table. Each guest counts its own
// calls, in memory that only its thread writes. A counter that all guests share would cost as much
// as some of the calls.
type calls struct {
	mu       sync.Mutex
	ended    []uint64 // of guests that have ended
	live     map[*store]struct{}
	named    map[string]uint64 // of components that have ended
	machines map[*machine]struct{}
}

func newCalls() *calls {
	return &calls{
		ended: make([]uint64, len(hostCalls)), live: map[*store]struct{}{},
		named: map[string]uint64{}, machines: map[*machine]struct{}{},
	}
}

func (c *calls) begin(s *store) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live[s] = struct{}{}
}

// end adds the calls of a guest that makes no more. sum counts each guest either as live or as
// ended, so the sum never decreases.
func (c *calls) end(s *store) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, s)
	s.addCalls(c.ended)
}

func (c *calls) beginMachine(m *machine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.machines[m] = struct{}{}
}

func (c *calls) endMachine(m *machine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.machines, m)
	m.addCalls(c.named)
}

// addNamed adds the calls of components to each sum.
func (c *calls) addNamed(sums map[string]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, n := range c.named {
		sums[name] += n
	}
	for m := range c.machines {
		m.addCalls(sums)
	}
}

func (c *calls) sum() []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	sums := append([]uint64(nil), c.ended...)
	for s := range c.live {
		s.addCalls(sums)
	}
	return sums
}

// HostCalls returns how often guests have called each function of their host since the engine was
// made. The numbers never decrease.
func (e *Engine) HostCalls() map[string]uint64 {
	all := make(map[string]uint64, len(hostCalls))
	for i, n := range e.calls.sum() {
		all[hostCalls[i].Name] = n
	}
	e.calls.addNamed(all)
	return all
}
