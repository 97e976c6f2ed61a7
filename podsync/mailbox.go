package podsync

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// mailbox holds what is newest of a pod: one slot, and what comes later replaces what was there.
type mailbox struct {
	full chan struct{} // holds a token while there is something to take
	mu   *sync.Mutex
	slot *corev1.Pod // nil: the object is gone
}

func newMailbox() mailbox {
	return mailbox{full: make(chan struct{}, 1), mu: &sync.Mutex{}}
}

// put never blocks.
func (m *mailbox) put(pod *corev1.Pod) {
	m.mu.Lock()
	m.slot = pod
	m.mu.Unlock()
	select {
	case m.full <- struct{}{}:
	default:
	}
}

func (m *mailbox) take() *corev1.Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.slot
}
