package main

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/podsync"
	"github.com/krustlet-go/krustlet-wasi/podsync/clusternet"
	"github.com/krustlet-go/krustlet-wasi/podsync/hostport"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
)

// clusterNetwork is what the cluster says of the network, for the pods and the workers. It gives
// what workers tell of refused connections to the pods.
type clusterNetwork struct {
	*clusternet.Cluster
	pods atomic.Pointer[podsync.Manager] // nil while the agent starts
}

var (
	_ pool.Network    = (*clusterNetwork)(nil)
	_ podsync.Cluster = (*clusterNetwork)(nil)
	_ hostport.Guard  = (*clusterNetwork)(nil)
)

func newClusterNetwork(cfg config.Config, client kubernetes.Interface, log *zap.Logger) *clusterNetwork {
	return &clusterNetwork{Cluster: clusternet.New(clusternet.Config{
		Client:        client,
		Node:          cfg.NodeName,
		Addresses:     []netip.Addr{cfg.NodeIP},
		Machine:       clusternet.MachineAddresses,
		PodRanges:     cfg.PodCIDRs,
		DefaultEgress: cfg.DefaultEgress,
		Services:      cfg.Services == config.ServicesByHost,
		Log:           log.Named("network"),
	})}
}

// admitPatience is how long a client of a port of the node waits for the first complete rules.
const admitPatience = 10 * time.Second

// Admit implements hostport.Guard.
func (n *clusterNetwork) Admit(ctx context.Context, pod string, client netip.Addr, to netip.AddrPort) bool {
	ctx, cancel := context.WithTimeout(ctx, admitPatience)
	defer cancel()
	if n.Await(ctx, false) != nil {
		return false
	}
	allowed := n.Admits(pod, client, to)
	if !allowed {
		n.Denied([]runtime.PodDenial{{Pod: pod, Denial: runtime.Denial{Target: client.String(), Ingress: true, By: runtime.ByPolicy, Times: 1}}})
	}
	return allowed
}

// Admits implements hostport.Guard.
func (n *clusterNetwork) Admits(pod string, client netip.Addr, to netip.AddrPort) bool {
	return n.Cluster.Admits(types.UID(pod), client, to.Port())
}

// review calls cut after each change of the complete rules, until ctx ends.
func (n *clusterNetwork) review(ctx context.Context, cut func()) {
	for {
		changed := n.Changed()
		if n.State() > 0 {
			cut()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Denied implements pool.Network.
func (n *clusterNetwork) Denied(denials []runtime.PodDenial) {
	if pods := n.pods.Load(); pods != nil {
		pods.Denied(denials)
	}
}
