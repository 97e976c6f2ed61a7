package wasmtime

import "sync/atomic"

// clientMemory counts what clients make the server hold. They get half of the limit, so that those
// who only connect and send do not keep the guest from its memory. It implements httpserver.Memory.
type clientMemory struct {
	of   *bodyMemory
	held atomic.Int64
}

// Take implements httpserver.Memory.
func (m *clientMemory) Take(n int) bool {
	if m.held.Add(int64(n)) <= m.of.account.limit.Load()/2 && m.of.Take(n) {
		return true
	}
	m.held.Add(-int64(n))
	return false
}

// Give implements httpserver.Memory.
func (m *clientMemory) Give(n int) {
	m.held.Add(-int64(n))
	m.of.Give(n)
}

// bodyMemory counts the memory of bodies on their way, and of clients. It implements http.Memory.
type bodyMemory struct {
	account *account
	taken   atomic.Int64
}

// Take implements http.Memory.
func (b *bodyMemory) Take(n int) bool {
	if !b.account.take(n) {
		return false
	}
	b.taken.Add(int64(n))
	return true
}

// Give implements http.Memory.
func (b *bodyMemory) Give(n int) {
	b.account.give(n)
	b.taken.Add(-int64(n))
}
