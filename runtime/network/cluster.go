package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

const (
	// maxPods bounds the pods whose rules are known. A node has some hundreds.
	maxPods = 10_000
	// maxUntold bounds the pods, with all others, while what was refused to one that has ended is
	// kept to be told.
	maxUntold = 1000
)

// Cluster is what a process knows of the cluster, for all its Networks. All methods may be called
// by any goroutine.
type Cluster struct {
	failed   func(error)
	updating sync.Mutex // of Apply

	mu       sync.RWMutex // of what decisions read
	sets     *sets
	services *services
	pods     map[string]*pod
	networks map[*Network]struct{}

	lists     lists
	questions *wasi.Files // sockets to servers of names, of all guests
	reviews   reviews
	podless   denials // of guests without a pod
	refused   chan struct{}
}

// pod is a pod of this node: its rules, and what its Networks share.
type pod struct {
	uid       string
	known     bool // the cluster has said something of it
	ingress   *rules
	egress    *rules
	addresses []netip.Addr
	networks  int
	denials   *denials

	mu       sync.Mutex
	affinity affinities
}

// NewCluster makes a Cluster that knows nothing yet. So pods have the rules that they start with.
// failed, if it is not nil, is told of what is beyond a bound in an update.
func NewCluster(failed func(error)) *Cluster {
	if failed == nil {
		failed = func(error) {}
	}
	return &Cluster{
		failed: failed, sets: newSets(), services: newServices(), pods: map[string]*pod{}, networks: map[*Network]struct{}{},
		refused: make(chan struct{}, 1), questions: wasi.NewFiles(maxQuestions), reviews: reviews{stop: make(chan struct{})},
	}
}

// Close ends what the Cluster does by itself, and waits for it. The Networks are closed by then.
func (c *Cluster) Close() { c.reviews.end() }

// Apply makes an update hold: when it returns, new connections are decided by it. Those that exist
// and that it forbids are cut soon afterwards, within a tenth of a second. What is beyond a bound
// does not hold, and all else does.
func (c *Cluster) Apply(u runtime.NetworkUpdate) {
	c.updating.Lock()
	defer c.updating.Unlock()
	c.mu.RLock()
	before := c.sets
	c.mu.RUnlock()
	// What takes time is done while others read.
	after, errs := before.updated(u.Sets, u.Reset)
	ready := make([]*pod, 0, len(u.Pods))
	for _, from := range u.Pods {
		p, err := newPod(from)
		ready, errs = append(ready, p), append(errs, err)
	}
	services := newServices()
	if u.Reset {
		for _, s := range u.Services {
			errs = append(errs, services.apply(s))
		}
	}

	c.mu.Lock()
	if u.Reset {
		c.services = services
		c.keepRules(nil)
		for _, p := range c.pods {
			c.forget(p)
		}
	} else {
		for _, s := range u.Services {
			errs = append(errs, c.services.apply(s))
		}
	}
	for i, p := range ready {
		errs = append(errs, c.learn(p, u.Pods[i].Gone))
	}
	if u.Reset || len(u.Pods) > 0 {
		more := *after
		more.pods = c.byAddress()
		after = &more
	}
	c.sets = after
	c.mu.Unlock()
	c.review()
	if err := errors.Join(errs...); err != nil {
		c.failed(fmt.Errorf("applying an update of the network: %w", err))
	}
}

// newPod makes a pod of what the cluster says of it.
func newPod(from runtime.PodRules) (*pod, error) {
	p := &pod{uid: from.Pod, known: true, denials: &denials{}}
	var err, err2 error
	if !from.Gone {
		p.ingress, err = newRules(from.Ingress)
		p.egress, err2 = newRules(from.Egress)
		for _, a := range from.Addresses {
			p.addresses = append(p.addresses, a.Unmap())
		}
	}
	if err := errors.Join(err, err2); err != nil {
		return p, fmt.Errorf("making the rules of the pod %.40q: %w", from.Pod, err)
	}
	return p, nil
}

// learn notes what the cluster says of a pod. The caller holds the lock.
func (c *Cluster) learn(p *pod, gone bool) error {
	old := c.pods[p.uid]
	switch {
	case gone && old != nil:
		c.keepRules(old)
		c.forget(old)
	case gone:
	case old != nil:
		old.known, old.ingress, old.egress, old.addresses = true, p.ingress, p.egress, p.addresses
	case p.uid == "" || len(c.pods) >= maxPods:
		return fmt.Errorf("there is no UID, or there are more than %d pods: the rules of the pod %.40q are those of its start", maxPods, p.uid)
	default:
		c.pods[p.uid] = p
	}
	return nil
}

// keepRules lets the Networks of a pod, or of all with nil, go on with the rules that are about to
// be forgotten. Those from their start may be older, and may allow what was forbidden since. The
// caller holds the lock.
func (c *Cluster) keepRules(p *pod) {
	for n := range c.networks {
		if p == nil || n.pod == p {
			n.ingress, n.egress = n.rules()
		}
	}
}

// forget forgets what the cluster has said of a pod. The caller holds the lock.
func (c *Cluster) forget(p *pod) {
	p.known, p.ingress, p.egress, p.addresses = false, nil, nil, nil
	c.release(p)
}

// release drops a pod of which nothing is left to know. The caller holds the lock.
func (c *Cluster) release(p *pod) {
	if !p.known && p.networks == 0 && (p.denials.empty() || len(c.pods) > maxUntold) {
		delete(c.pods, p.uid)
	}
}

// byAddress returns the pods by their addresses. The caller holds the lock.
func (c *Cluster) byAddress() map[netip.Addr]*pod {
	all := map[netip.Addr]*pod{}
	for _, p := range c.pods {
		for _, a := range p.addresses {
			all[a] = p
		}
	}
	return all
}

// join adds a Network to its pod.
func (c *Cluster) join(n *Network, uid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pods[uid]
	if p == nil {
		p = &pod{uid: uid, denials: &denials{}}
		if uid == "" { // guests without a pod share nothing else
			p.denials = &c.podless
		} else {
			c.pods[uid] = p
		}
	}
	p.networks++
	n.pod = p
	c.networks[n] = struct{}{}
}

func (c *Cluster) leave(n *Network) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.networks[n]; ok {
		delete(c.networks, n)
		n.pod.networks--
		c.release(n.pod)
	}
}

// all are the Networks.
func (c *Cluster) all() []*Network {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Collect(maps.Keys(c.networks))
}

// Denials waits until something was refused, and returns what was since the last call, with
// counts. Guests without a pod have no UID. The error is that of ctx. One caller uses it at a time.
func (c *Cluster) Denials(ctx context.Context) ([]runtime.PodDenial, error) {
	for {
		select {
		case <-c.refused:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if all := c.Refused(); len(all) > 0 {
			return all, nil
		}
	}
}

// Refused is Denials without a wait: it may return nothing.
func (c *Cluster) Refused() []runtime.PodDenial {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []runtime.PodDenial
	for _, d := range c.podless.take() {
		all = append(all, runtime.PodDenial{Denial: d})
	}
	for _, p := range c.pods {
		for _, d := range p.denials.take() {
			all = append(all, runtime.PodDenial{Pod: p.uid, Denial: d})
		}
		c.release(p)
	}
	return all
}

// endpoint returns the endpoint of a Service for a connection of a pod.
func (p *pod) endpoint(to target, port *servicePort) netip.AddrPort {
	if port.affinity <= 0 {
		return port.choose()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.affinity == nil {
		p.affinity = affinities{}
	}
	return p.affinity.choose(to, port, time.Now())
}
