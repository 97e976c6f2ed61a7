package network

import (
	"net/netip"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

const (
	// reviewPause is the least time between two reviews of all connections. So updates that follow
	// each other closely cost one review.
	reviewPause = 50 * time.Millisecond
	// reviewStep is how many connections are looked at before writers may go on.
	reviewStep = 256
)

// watch is a connection that may be cut.
type watch struct {
	protocol      runtime.Protocol
	local, remote netip.AddrPort
	outgoing      bool
	service       target // by which a guest's datagrams go to the endpoint; zero if by none
	cut           func()
	once          sync.Once
}

// Watch implements wasi.Network.
func (n *Network) Watch(p runtime.Protocol, local, remote netip.AddrPort, outgoing bool, cut func()) (stop func()) {
	w := &watch{protocol: p, local: plainAddress(local), remote: plainAddress(remote), outgoing: outgoing, cut: cut}
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return func() {}
	}
	n.watches[w] = struct{}{}
	if outgoing {
		n.hold(w.remote.Addr())
		w.service = n.ledBy(p, w.remote)
	}
	n.mu.Unlock()
	// The rules may have changed since the connection was decided on.
	n.cluster.mu.RLock()
	stays := n.stays(w)
	n.cluster.mu.RUnlock()
	if !stays {
		n.cluster.reviews.run(func() { n.end(w) })
	}
	return func() { n.unwatch(w) }
}

func (n *Network) unwatch(w *watch) (watched bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, watched = n.watches[w]; watched {
		delete(n.watches, w)
		if w.outgoing {
			n.letGo(w.remote.Addr())
		}
	}
	return watched
}

// end cuts a connection, unless its watch was stopped.
func (n *Network) end(w *watch) {
	if n.unwatch(w) {
		w.once.Do(w.cut)
	}
}

// stays reports whether a connection that exists is allowed now. The lists of egress are not asked
// again, except for what is closed by the ceilings, because they do not change while a guest runs.
// Connections of TCP to an endpoint go on when their Service has lost it, as with kube-proxy;
// datagrams are to go to another. The caller holds the Cluster's lock.
func (n *Network) stays(w *watch) bool {
	switch c := n.cluster; {
	case w.service != target{} && !c.services.leads(w.service, w.remote):
		return false
	case n.Own(w.remote.Addr()):
		return true
	case !w.outgoing:
		return n.entersByPolicy(w.protocol, w.local, w.remote)
	case !n.policiesAllow(w.protocol, w.remote):
		return false
	default:
		return !n.policy.Closed(w.remote, c.sets) || c.services.has(trusted, w.remote)
	}
}

// review looks at all connections, and cuts those that are not allowed any more.
func (n *Network) review() {
	n.mu.Lock()
	all := make([]*watch, 0, len(n.watches))
	for w := range n.watches {
		all = append(all, w)
	}
	n.mu.Unlock()
	for len(all) > 0 {
		step := all[:min(len(all), reviewStep)]
		all = all[len(step):]
		var forbidden []*watch
		n.cluster.mu.RLock()
		for _, w := range step {
			if !n.stays(w) {
				forbidden = append(forbidden, w)
			}
		}
		n.cluster.mu.RUnlock()
		for _, w := range forbidden {
			n.end(w)
		}
	}
}

// reviews run beside the callers of a Cluster.
type reviews struct {
	mu      sync.Mutex
	running bool
	again   bool
	ended   bool
	stop    chan struct{}
	all     sync.WaitGroup
}

// run runs f on a goroutine of its own, unless the Cluster is closed.
func (r *reviews) run(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.all.Go(f)
	}
}

// end ends reviews, and waits for all that runs.
func (r *reviews) end() {
	r.mu.Lock()
	if !r.ended {
		r.ended = true
		close(r.stop)
	}
	r.mu.Unlock()
	r.all.Wait()
}

// review has all connections reviewed soon.
func (c *Cluster) review() {
	r := &c.reviews
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running {
		r.again = true
	} else if !r.ended {
		r.running = true
		r.all.Go(c.reviewAll)
	}
}

// reviewAll reviews all connections until nothing has changed meanwhile.
func (c *Cluster) reviewAll() {
	r := &c.reviews
	for {
		for _, n := range c.all() {
			n.review()
		}
		r.mu.Lock()
		if !r.again || r.ended {
			r.running = false
			r.mu.Unlock()
			return
		}
		r.again = false
		r.mu.Unlock()
		pause := time.NewTimer(reviewPause)
		select {
		case <-pause.C:
		case <-r.stop:
			pause.Stop()
		}
	}
}
