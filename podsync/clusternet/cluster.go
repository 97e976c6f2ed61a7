package clusternet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/podsync/netpolicy"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/podsync/service"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Config is the configuration of a Cluster. All fields are required, unless their comment says
// otherwise.
type Config struct {
	Client kubernetes.Interface
	Node   string // the node's name
	// Addresses are the node's, even if no interface has them. Machine returns those of the
	// machine's interfaces.
	Addresses []netip.Addr
	Machine   func() ([]netip.Addr, error)
	// PodRanges are the ranges of the pods of this node if its Node has none.
	PodRanges []netip.Prefix
	// DefaultEgress is the list of egress of pods that have none. If it is empty, they connect to
	// nothing.
	DefaultEgress string
	// Services says that this node leads connections to Services, and not the kernel.
	Services bool
	Log      *zap.Logger
}

// Cluster knows what the cluster says of the network. Make one with New. All methods may be called
// by any goroutine.
type Cluster struct {
	cfg   Config
	dirty chan struct{} // has a token when something may have to be told

	mu         sync.Mutex
	state      *state
	index      *netpolicy.Index
	table      *service.Table
	byName     map[string]*corev1.Namespace
	ranges     map[string][]netip.Prefix // of addresses of the cluster, by what has them
	machine    map[netip.Prefix]struct{} // nil before the first time
	connecting map[types.UID]struct{}    // pods of this node that may connect to something
	clusterSet told
	nodeSet    told
	changed    bool // since the last tell
	waited     waited
	begin      func(func(context.Context)) (stop func()) // starts a watch while Run runs, else nil
	stopSlices func()                                    // nil while they are not watched
	podsBegun  bool

	policies, namespaces, nodes, self, serviceCIDRs, services, pods kind
	slices                                                          *kind // another for each watch
}

// waited is what guests that start may wait for.
type waited struct {
	missing int
	held    bool
	slices  bool
}

// New makes a Cluster. It does nothing before Run.
func New(cfg Config) *Cluster {
	return &Cluster{
		cfg: cfg, dirty: make(chan struct{}, 1), state: newState(),
		index: netpolicy.NewIndex(), table: service.NewTable(cfg.Node),
		byName: map[string]*corev1.Namespace{}, ranges: map[string][]netip.Prefix{}, connecting: map[types.UID]struct{}{},
		clusterSet: told{name: runtime.ClusterSet}, nodeSet: told{name: runtime.NodeSet},
		policies: kind{resource: "networkpolicies"}, namespaces: kind{resource: "namespaces"}, nodes: kind{resource: "nodes"},
		self: kind{resource: "nodes"}, serviceCIDRs: kind{resource: "servicecidrs"}, services: kind{resource: "services"},
		pods: kind{resource: "pods"}, slices: &kind{resource: "endpointslices"},
	}
}

// together is how long changes are collected before they are told.
const together = 10 * time.Millisecond

// Run watches until ctx ends.
func (c *Cluster) Run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.begin = nil
	}()
	c.mu.Lock()
	c.begin = func(f func(context.Context)) func() {
		ctx, stop := context.WithCancel(ctx)
		work.Go(func() { f(ctx) })
		return stop
	}
	c.mu.Unlock()
	for _, f := range []func(context.Context){
		c.followMachine, c.followPolicies, c.followNamespaces, c.followServiceCIDRs,
		func(ctx context.Context) { c.followNodes(ctx, &c.nodes, false) },
		func(ctx context.Context) { c.followNodes(ctx, &c.self, true) },
	} {
		work.Go(func() { f(ctx) })
	}
	for {
		select {
		case <-c.dirty:
		case <-ctx.Done():
			return
		}
		timer := time.NewTimer(together)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		c.tell()
		c.mu.Unlock()
	}
}

// touch notes that something may have to be told. The caller holds the lock.
func (c *Cluster) touch() {
	c.changed = true
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

// SetPod implements podsync.Cluster.
func (c *Cluster) SetPod(pod *corev1.Pod) {
	p := netpolicy.PodOf(pod)
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	connects := !ended && c.connects(pod)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index.SetLocal(p)
	if connects {
		c.connecting[pod.UID] = struct{}{}
	} else {
		delete(c.connecting, pod.UID)
	}
	c.touch()
}

// connects reports whether guests of a pod may connect to something.
func (c *Cluster) connects(pod *corev1.Pod) bool {
	list := c.cfg.DefaultEgress
	if says, err := podspec.EgressOf(pod); err == nil && says.Given {
		list = says.List
	}
	return strings.TrimSpace(list) != ""
}

// DeletePod implements podsync.Cluster.
func (c *Cluster) DeletePod(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index.DeleteLocal(uid)
	delete(c.connecting, uid)
	c.touch()
}

// SetService tells of a Service that is new or has changed.
func (c *Cluster) SetService(s *corev1.Service) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table.SetService(s)
	c.touch()
}

// DeleteService tells of a Service that is no more.
func (c *Cluster) DeleteService(s *corev1.Service) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table.DeleteService(s)
	c.touch()
}

// ServicesListed tells that all Services of the first list were told.
func (c *Cluster) ServicesListed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.services.listed = true
	c.touch()
}

// missing are the lists that are not there yet.
func (c *Cluster) missing() (names []string) {
	for _, k := range []*kind{&c.policies, &c.namespaces, &c.nodes, &c.self, &c.serviceCIDRs, &c.services} {
		if !k.there() {
			names = append(names, k.resource)
		}
	}
	if c.machine == nil {
		names = append(names, "the machine's addresses")
	}
	return names
}

// held reports whether rules depend on pods that are not listed yet. Then they are not told,
// because they would forbid connections that the complete ones allow.
func (c *Cluster) held() bool {
	return c.index.Prepare() && !c.pods.there()
}

// enforces reports whether the node may read all that NetworkPolicies need.
func (c *Cluster) enforces() bool {
	return c.policies.listed && c.namespaces.listed && (c.pods.listed || !c.pods.forbidden)
}

// tell tells what has changed. The caller holds the lock.
func (c *Cluster) tell() {
	if !c.changed {
		return
	}
	c.changed = false
	c.index.Ignore(!c.enforces())
	needsPods := c.index.Prepare()
	if c.begin != nil {
		if needsPods && !c.podsBegun {
			c.podsBegun = true
			c.begin(c.followPods)
		}
		c.watchSlices()
	}
	now := waited{missing: len(c.missing()), held: c.held(), slices: c.slices.there()}
	if now != c.waited {
		c.waited = now
		c.state.wake()
	}
	if now.missing > 0 {
		return
	}
	var u runtime.NetworkUpdate
	if !now.held {
		u, _ = c.index.Take()
	}
	if c.slices.listed {
		u.Services = c.table.Take()
	}
	for _, set := range []struct {
		told *told
		now  map[netip.Prefix]struct{}
	}{{&c.clusterSet, c.clusterRanges()}, {&c.nodeSet, c.nodeRanges()}} {
		if s, changed := set.told.change(set.now); changed {
			u.Sets = append(u.Sets, s)
		}
	}
	if c.state.number == 0 && !now.held || c.state.number > 0 && len(u.Sets)+len(u.Services)+len(u.Pods) > 0 {
		c.state.add(u)
	}
}

// watchSlices watches the EndpointSlices while a pod needs them.
func (c *Cluster) watchSlices() {
	switch needed := c.cfg.Services && len(c.connecting) > 0; {
	case needed && c.stopSlices == nil:
		c.slices = &kind{resource: c.slices.resource}
		c.stopSlices = c.begin(c.followSlices)
	case !needed && c.stopSlices != nil:
		c.stopSlices()
		c.stopSlices = nil
		c.slices = &kind{resource: c.slices.resource}
		c.table.ClearSlices()
	}
}

// clusterRanges are the addresses of Services and pods.
func (c *Cluster) clusterRanges() map[netip.Prefix]struct{} {
	all := map[netip.Prefix]struct{}{}
	for _, ranges := range c.ranges {
		for _, p := range ranges {
			all[p] = struct{}{}
		}
	}
	add := func(a netip.Addr) { all[single(a)] = struct{}{} }
	c.table.Addresses(add)
	c.index.Addresses(add)
	return all
}

// nodeRanges are the addresses of the machine, and the ranges of its pods. It is nil before the
// machine's are known.
func (c *Cluster) nodeRanges() map[netip.Prefix]struct{} {
	if c.machine == nil {
		return nil
	}
	ranges := c.ranges["node "+c.cfg.Node]
	if len(ranges) == 0 {
		ranges = c.cfg.PodRanges
	}
	all := maps.Clone(c.machine)
	for _, p := range ranges {
		all[p.Masked()] = struct{}{}
	}
	return all
}

// Changes implements pool.Network.
func (c *Cluster) Changes(after uint64) (u runtime.NetworkUpdate, now uint64, more <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state
	if after == s.number {
		return u, after, s.more
	}
	if u, ok := s.since(after); ok {
		return u, s.number, s.more
	}
	if c.held() { // all of it is not complete now
		return u, after, s.more
	}
	u = c.index.All()
	u.Reset = true
	u.Sets = append(u.Sets, c.clusterSet.whole(), c.nodeSet.whole())
	u.Services = c.table.All()
	return u, s.number, s.more
}

// State implements pool.Network.
func (c *Cluster) State() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.number
}

// Await implements podsync.Cluster.
func (c *Cluster) Await(ctx context.Context, connects bool) error {
	for {
		c.mu.Lock()
		lacks := c.lacks(connects)
		more := c.state.more
		c.mu.Unlock()
		if lacks == nil {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", lacks, context.Cause(ctx))
		}
	}
}

// lacks says what a guest that starts now must wait for, or nil.
func (c *Cluster) lacks(connects bool) error {
	c.tell()
	missing := c.missing()
	if c.held() {
		missing = append(missing, c.pods.resource)
	}
	if connects && c.cfg.Services && !c.slices.there() {
		missing = append(missing, c.slices.resource)
	}
	if len(missing) > 0 {
		return fmt.Errorf("the API server has not listed %s yet", strings.Join(missing, ", "))
	}
	if c.state.number == 0 {
		return errors.New("the rules are not made yet")
	}
	return nil
}

// Admits reports whether a pod of this node may get a connection of TCP from an address. Before the
// rules are complete, it may not. The node's own addresses always may.
func (c *Cluster) Admits(uid types.UID, from netip.Addr, port uint16) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell()
	if c.state.number == 0 {
		return false
	}
	_, node := c.machine[single(from)]
	return node || c.index.Admits(uid, from.Unmap(), port)
}

// Changed returns a channel that is closed when the rules have changed.
func (c *Cluster) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.more
}

// Namespace implements podsync.Cluster.
func (c *Cluster) Namespace(name string) *corev1.Namespace {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byName[name]
}

// Rules implements podsync.Cluster. When it returns, workers can be told all that the rules need.
func (c *Cluster) Rules(uid types.UID) runtime.PodRules {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell()
	return c.index.Rules(uid)
}
