package node

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/component-helpers/apimachinery/lease"
	"k8s.io/utils/clock"
)

// renewLease renews the lease every 10 s. It blocks until ctx ends.
func (n *Node) renewLease(ctx context.Context) {
	controller := lease.NewController(clock.RealClock{}, n.client, n.cfg.Name, int32(leaseDuration/time.Second),
		func() { n.log.Warn("renewing the node's lease fails repeatedly") },
		leaseRenewal, n.cfg.Name, corev1.NamespaceNodeLease, n.ownLease)
	controller.Run(ctx)
}

// ownLease makes the Node the owner of its lease, so that the lease is deleted with it.
func (n *Node) ownLease(l *coordinationv1.Lease) error {
	uid := n.uid.Load()
	if uid == nil {
		return errors.New("the node is not registered")
	}
	l.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Node", Name: n.cfg.Name, UID: *uid,
	}}
	return nil
}

// watch sends to look when the Node was deleted. It also sends when a watch begins, because the
// watch does not see an earlier deletion. It blocks until ctx ends.
func (n *Node) watch(ctx context.Context, look chan<- struct{}) {
	nudge := func() {
		select {
		case look <- struct{}{}:
		default: // look has an element already
		}
	}
	// The Node authorizer lets a node watch only itself, and only with this selector.
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, n.cfg.Name).String()
	wait.JitterUntilWithContext(ctx, func(ctx context.Context) {
		w, err := n.client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{FieldSelector: selector})
		if err != nil {
			n.log.Debug("watching the Node", zap.Error(err))
			return
		}
		defer w.Stop()
		nudge()
		for event := range w.ResultChan() {
			if event.Type == watch.Deleted {
				nudge()
			}
		}
	}, time.Second, 0.5, true)
}
