package main

import (
	"net/netip"
	"sync/atomic"

	"go.uber.org/zap"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/podsync"
	"github.com/krustlet-go/krustlet-wasi/podsync/clusternet"
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

// Denied implements pool.Network.
func (n *clusterNetwork) Denied(denials []runtime.PodDenial) {
	if pods := n.pods.Load(); pods != nil {
		pods.Denied(denials)
	}
}
