package handler

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/command"
)

// member is an instance of a pool.
type member struct {
	pool    *Pool
	number  uint64
	machine Machine
	handler *command.Handler

	// The pool's mutex guards these.
	under   int // requests under way
	served  int // requests that it has begun
	ready   bool
	retired bool
	since   time.Time // when it was last used

	mu       sync.Mutex
	sessions map[*session]struct{}
	cause    Cause
	dead     bool  // it was killed
	closed   bool  // there is nothing left to kill
	fault    error // why it runs no more
}

func (m *member) enter() {
	m.under++
	m.served++
}

func (m *member) hasPlace() bool {
	return m.ready && !m.retired && m.under > 0 && m.under < m.pool.settings.Requests && m.served < m.pool.settings.Reuse
}

// retire says that the instance gets no more requests.
func (m *member) retire() {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	m.retired = true
}

// alone reports whether the instance answers no more than one request.
func (m *member) alone() bool {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	return m.under <= 1
}

// Faults of an instance, as those that wait for an answer get them.
var (
	errStopped  = errors.New("the instance was stopped")
	errTimedOut = errors.New("the request has taken too long")
	errMemory   = errors.New("the guest has no more memory")
)

// kill ends the instance soon. Only the first cause counts.
func (m *member) kill(cause Cause) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead || m.closed {
		return
	}
	m.dead, m.cause = true, cause
	if m.handler != nil {
		m.handler.Instance().Kill(errStopped)
	}
	m.machine.Kill()
}

// failed is why the instance cannot go on, for those that wait for it. It tells the owner of the
// pool, once.
func (m *member) failed(err error) error {
	m.mu.Lock()
	if m.fault != nil {
		defer m.mu.Unlock()
		return m.fault
	}
	cause := Trapped
	switch {
	case m.dead:
		cause = m.cause
	case m.machine.OutOfMemory(err):
		cause = NoMemory
	}
	var fault error
	switch cause {
	case Trapped:
		fault = fmt.Errorf("the guest has failed: %w", err)
	case NoMemory:
		fault = errMemory
	case TimedOut:
		fault = errTimedOut
	case Stopped:
		fault = errStopped
	}
	m.fault = fault
	m.mu.Unlock()
	m.pool.counts.fault(cause)
	if cause != Stopped {
		m.pool.cfg.Ended(m.number, cause, err)
	}
	return fault
}

// fail ends all requests of an instance that has a fault.
func (m *member) fail(err error) {
	m.retire()
	fault := m.failed(err)
	m.mu.Lock()
	all := make([]*session, 0, len(m.sessions))
	for s := range m.sessions {
		all = append(all, s)
	}
	m.mu.Unlock()
	for _, s := range all {
		s.exited.Store(true)
		s.exchange.Fail(fault)
		s.signal()
	}
}

// join adds a request. It returns why the instance takes none, if there was a fault.
func (m *member) join(s *session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault != nil {
		return m.fault
	}
	m.sessions[s] = struct{}{}
	return nil
}

func (m *member) leave(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, s)
}

// close ends the instance, which answers nothing. The calling goroutine leaves it.
func (m *member) close(on *presence) {
	if err := on.enter(m.machine); err == nil {
		m.handler.Close()
	}
	on.leave()
	m.closeMachine()
}

func (m *member) closeMachine() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.machine.Close()
}
