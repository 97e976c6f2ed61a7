package network

import (
	"net/netip"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

const (
	// flowLife is how long a datagram may be answered. Linux's connection tracking has the same for
	// those that were answered before (nf_conntrack_udp_timeout_stream).
	flowLife = 2 * time.Minute
	maxFlows = 1024
)

// flows are the other ends with which datagrams were exchanged. Network.mu protects them.
type flows map[flowEnd]flow

// flowEnd is another end, in one direction: to which the guest has sent, or from which it has
// received.
type flowEnd struct {
	remote netip.AddrPort
	sent   bool
}

type flow struct {
	until time.Time
	port  uint16 // of the guest, if it has received
}

func (fs flows) has(end flowEnd, now time.Time) bool {
	f, ok := fs[end]
	return ok && now.Before(f.until)
}

// add notes a datagram. If there are too many ends, it forgets the one that has been silent for the
// longest time.
func (fs flows) add(end flowEnd, port uint16, now time.Time) {
	if _, known := fs[end]; !known && len(fs) >= maxFlows {
		var oldest flowEnd
		for e, f := range fs {
			if o, ok := fs[oldest]; !ok || f.until.Before(o.until) {
				oldest = e
			}
		}
		delete(fs, oldest)
	}
	fs[end] = flow{now.Add(flowLife), port}
}

// sent notes that the guest sends a datagram.
func (n *Network) sent(to netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.flows.add(flowEnd{to, true}, 0, time.Now())
}

// got notes that the guest receives a datagram that no other allows.
func (n *Network) got(from netip.AddrPort, port uint16) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.flows.add(flowEnd{from, false}, port, time.Now())
}

// received reports whether the guest has received a datagram from there.
func (n *Network) received(from netip.AddrPort) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.flows) > 0 && n.flows.has(flowEnd{from, false}, time.Now())
}

// answers reports whether the guest has sent a datagram there.
func (n *Network) answers(from netip.AddrPort) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.flows) > 0 && n.flows.has(flowEnd{from, true}, time.Now())
}

// reviewFlows forgets those that policies do not allow any more.
func (n *Network) reviewFlows() {
	n.mu.Lock()
	all := make(flows, len(n.flows))
	for end, f := range n.flows {
		all[end] = f
	}
	n.mu.Unlock()
	n.cluster.mu.RLock()
	for end, f := range all {
		if end.sent && n.stays(runtime.UDP, netip.AddrPort{}, end.remote, true) ||
			!end.sent && n.stays(runtime.UDP, netip.AddrPortFrom(netip.Addr{}, f.port), end.remote, false) {
			delete(all, end)
		}
	}
	n.cluster.mu.RUnlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	for end := range all {
		delete(n.flows, end)
	}
}
