package network

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// maxPods bounds the pods whose rules are known. A node has some hundreds.
const maxPods = 10_000

// Cluster is what a process knows of the cluster, for all its Networks. All methods may be called
// by any goroutine.
type Cluster struct {
	updating sync.Mutex // of Apply

	mu       sync.RWMutex // of what decisions read
	sets     *sets
	services *services
	pods     map[string]*pod
	networks map[*Network]struct{}

	lists   lists
	reviews reviews
	podless denials // of guests without a pod
	refused chan struct{}
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
func NewCluster() *Cluster {
	return &Cluster{
		sets: newSets(), services: newServices(), pods: map[string]*pod{}, networks: map[*Network]struct{}{},
		refused: make(chan struct{}, 1), reviews: reviews{stop: make(chan struct{})},
	}
}

// Close ends what the Cluster does by itself, and waits for it. The Networks are closed by then.
func (c *Cluster) Close() { c.reviews.end() }

// Apply makes an update hold: when it returns, new connections are decided by it. Those that it
// forbids are cut soon afterwards, within a tenth of a second. The error says what is beyond a
// bound; all else holds.
func (c *Cluster) Apply(u runtime.NetworkUpdate) error {
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
		after.pods = c.byAddress()
	}
	c.sets = after
	c.mu.Unlock()
	c.review()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("applying an update of the network: %w", err)
	}
	return nil
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

// forget forgets what the cluster has said of a pod. The caller holds the lock.
func (c *Cluster) forget(p *pod) {
	p.known, p.ingress, p.egress, p.addresses = false, nil, nil, nil
	c.release(p)
}

// release drops a pod of which nothing is left to know. The caller holds the lock.
func (c *Cluster) release(p *pod) {
	if !p.known && p.networks == 0 && p.denials.empty() {
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

// join adds a Network, and returns its pod.
func (c *Cluster) join(n *Network, uid string) *pod {
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
	c.networks[n] = struct{}{}
	return p
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

// Refused has a value when there are new Denials. One receiver at a time may wait.
func (c *Cluster) Refused() <-chan struct{} { return c.refused }

// Denials returns what was refused since the last call. Guests without a pod have no UID.
func (c *Cluster) Denials() []runtime.PodDenial {
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
