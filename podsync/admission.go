package podsync

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/podsync/admit"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
)

// admit returns why the node cannot take a pod, or nil. From its admission until it is terminal, a
// pod counts as a user of the node.
func (m *Manager) admit(ctx context.Context, w *podActions, pod *corev1.Pod) (*life.Refusal, error) {
	select {
	case <-m.synced: // pods of earlier agents are admitted first
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m.judging.Lock()
	defer m.judging.Unlock()
	if w.admitted.Load() {
		return nil, nil
	}
	if no := admit.UnderPressure(pod, m.eviction.conditions()); no != nil {
		return no, nil
	}
	node, err := m.node.within(ctx, nodeKept)
	if err != nil {
		return nil, err
	}
	no := admit.Pod(pod, node, m.Allocatable, m.loops.used(nil))
	if no != nil {
		if node, err = m.node.within(ctx, 0); err != nil {
			return nil, err
		}
		no = admit.Pod(pod, node, m.Allocatable, m.loops.used(nil))
	}
	w.admitted.Store(no == nil)
	return no, nil
}

const (
	// nodeKept is how old the Node may be when the node decides about a pod. Before it refuses a
	// pod, the Node is read again.
	nodeKept     = 10 * time.Second
	nodePatience = 5 * time.Second
)

// nodeReader reads the Node from the API server, and keeps it for a short time.
type nodeReader struct {
	client kubernetes.Interface
	name   string

	mu   sync.Mutex
	node *corev1.Node // nil if there is no Node
	read time.Time    // zero before the first success
}

// within returns the Node, which was read at most age ago. It is nil if there is no Node. If the
// Node cannot be read, within returns the last one that was read. Callers must not change it.
func (r *nodeReader) within(ctx context.Context, age time.Duration) (*corev1.Node, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.read.IsZero() && time.Since(r.read) < age {
		return r.node, nil
	}
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	node, err := r.client.CoreV1().Nodes().Get(ctx, r.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		node = nil
	case err != nil && r.read.IsZero():
		return nil, fmt.Errorf("reading the node: %w", err)
	case err != nil:
		return r.node, nil
	}
	r.node, r.read = node, time.Now()
	return r.node, nil
}

// labels are the labels of the Node, as they were a short time ago.
func (r *nodeReader) labels(ctx context.Context) (map[string]string, error) {
	node, err := r.within(ctx, nodeKept)
	if err != nil || node == nil {
		return nil, err
	}
	return node.Labels, nil
}
