package podsync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/address"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// A controller gives a new node its podCIDR. This is how long the node waits for it before it goes
// on without one.
const (
	rangePatience = 10 * time.Second
	rangePoll     = 250 * time.Millisecond
)

// network has the addresses from which the node's pods get their own.
type network struct {
	pool     address.Pool
	node     *nodeReader
	fallback []netip.Prefix // the ranges that are used if the Node has no podCIDR
	off      bool           // pods have the node's address
	log      *zap.Logger

	mu     sync.Mutex
	looked bool
	wanted []netip.Prefix // the ranges when they were last read
}

// giveAddresses gives a pod its addresses, after it has waited for the node's podCIDR. A pod that
// has addresses from an earlier agent keeps them.
func (w *podActions) giveAddresses(ctx context.Context, pod *corev1.Pod, before podspec.Addresses) (podspec.Addresses, error) {
	if pod.Spec.HostNetwork {
		return podspec.Addresses{Known: true}, nil
	}
	if err := w.node.network.serve(ctx); err != nil {
		return podspec.Addresses{}, err
	}
	pool, uid := &w.node.network.pool, string(pod.UID)
	lost := slices.ContainsFunc(before.Own, func(a netip.Addr) bool { return !address.IsLocal(a) })
	if before.Known && !lost {
		return before, nil
	}
	if lost {
		w.log.Warn("the machine has the pod's addresses no more, the pod gets others", zap.Stringers("addresses", before.Own))
		pool.Release(uid)
		if err := os.Remove(w.dirs.Etc("hosts")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return podspec.Addresses{}, fmt.Errorf("removing the pod's old /etc/hosts: %w", err)
		}
	}
	own, err := pool.Take(uid)
	if err != nil {
		return podspec.Addresses{}, fmt.Errorf("giving the pod an address: %w", err)
	}
	p := podspec.Addresses{Known: true, Own: own}
	return p, w.dirs.KeepAddresses(p)
}

// serve gives the pool the node's ranges, and tells the kernel that they are the machine's own. If
// the agent may not do that, the pool gets none, and pods have the node's address.
func (n *network) serve(ctx context.Context) error {
	wanted, err := n.ranges(ctx)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.looked && slices.Equal(n.wanted, wanted) {
		return nil
	}
	served := wanted
	for _, r := range wanted {
		err := address.MakeLocal(r)
		if errors.Is(err, fs.ErrPermission) {
			n.log.Warn("pods have the node's address, as the node may not add a route: it needs CAP_NET_ADMIN, or an administrator must add the route", zap.Error(err))
			served = nil
			break
		}
		if err != nil {
			return err
		}
	}
	switch {
	case len(wanted) == 0:
		n.log.Info("pods have the node's address, as there is no podCIDR")
	case len(served) > 0:
		n.log.Info("pods have addresses of their own", zap.Stringers("ranges", served))
	}
	n.pool.Serve(served)
	n.looked, n.wanted = true, wanted
	return nil
}

// ranges are the Node's podCIDRs, or those of the settings if the Node has none. ranges waits some
// time for podCIDRs.
func (n *network) ranges(ctx context.Context) ([]netip.Prefix, error) {
	if n.off {
		return nil, nil
	}
	began := time.Now()
	for age := nodeKept; ; age = rangePoll {
		node, err := n.node.within(ctx, age)
		if err != nil {
			return nil, err
		}
		if node != nil && len(node.Spec.PodCIDRs) > 0 {
			ranges, err := address.ParseRanges(node.Spec.PodCIDRs)
			if err != nil {
				return nil, fmt.Errorf("reading the node's podCIDRs: %w", err)
			}
			return ranges, nil
		}
		if node == nil || time.Since(node.CreationTimestamp.Time) >= rangePatience || time.Since(began) >= rangePatience {
			return n.fallback, nil
		}
		if err := pause.For(ctx, rangePoll); err != nil {
			return nil, err
		}
	}
}

// claim lets a pod from an earlier agent keep its addresses, unless it does not need them any more
// or another pod has them.
func (n *network) claim(state *life.Pod, adopted adoption) {
	own, pod := state.Addresses().Own, state.Object()
	if len(own) == 0 || state.Stage() == life.Terminal && len(adopted.running) == 0 {
		return
	}
	if !n.pool.Keep(string(pod.UID), own) {
		n.log.Warn("another pod has the addresses of a pod from before, which gets others", zap.String("namespace", pod.Namespace),
			zap.String("pod", pod.Name), zap.Stringers("addresses", own))
		state.Apply(life.AddressesLost{}, time.Now())
	}
}

// releaseAddresses frees the addresses of a pod that has ended. Its status still shows them.
func (w *podLoop) releaseAddresses() {
	if w.state.Stage() == life.Terminal && len(w.processes) == 0 {
		w.node.network.pool.Release(string(w.state.Object().UID))
	}
}

// podIP is the first address of the pod.
func (w *podActions) podIP() string { return w.view.Load().pod.Status.PodIP }
