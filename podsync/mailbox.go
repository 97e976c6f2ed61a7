package podsync

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// mailbox holds the newest object of a pod. It has one slot: a later object replaces an earlier
// one.
type mailbox struct {
	full chan struct{} // holds a token while the slot is full
	mu   *sync.Mutex
	slot *corev1.Pod // nil if the object was deleted
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
