package network

import (
	"net/netip"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/egress"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// byPolicy is the verdict of a NetworkPolicy that forbids.
var byPolicy = egress.Verdict{Noted: true, Denied: true, By: runtime.ByPolicy}

// Connect implements wasi.Network.
func (n *Network) Connect(p runtime.Protocol, to netip.AddrPort) (wasi.Route, error) {
	t, err := n.meant(target{p, plainAddress(to)})
	if err != nil {
		return wasi.Route{}, err
	}
	if n.Own(t.at.Addr()) {
		return n.within(t)
	}
	route, err := n.route(t, false)
	return zoned(route, to), err
}

// zoned is a route with the zone that the target had, which only link-local addresses need.
func zoned(route wasi.Route, to netip.AddrPort) wasi.Route {
	if a := route.To.Addr(); a == to.Addr().WithZone("") && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast()) {
		route.To = to
	}
	return route
}

// meant is the target that the guest means: its pod's address for a loopback address.
func (n *Network) meant(t target) (target, error) {
	a := t.at.Addr()
	if !n.own || !a.IsLoopback() && !a.IsUnspecified() {
		return t, nil
	}
	own := n.of(a)
	if !own.IsValid() {
		return t, wasi.ErrConnectionRefused // as of a machine where nothing listens there
	}
	t.at = netip.AddrPortFrom(own, t.at.Port())
	return t, nil
}

// within is the route to the guest's own pod.
func (n *Network) within(t target) (wasi.Route, error) {
	if !n.isPods(t) {
		return wasi.Route{}, wasi.ErrConnectionRefused
	}
	return wasi.Route{From: t.at.Addr(), To: t.at}, nil
}

// route is the way to a target that is not the guest's own pod. A resolver's questions need no
// permission of the lists of egress, and those that leave the cluster come from the node: its name
// servers may serve no others, or know no way to pods.
func (n *Network) route(t target, resolvers bool) (wasi.Route, error) {
	names := n.found(t.at.Addr())
	d := n.decide(t, names, resolvers)
	if d.verdict.Noted {
		n.note(t.at.String(), d.verdict, false)
	}
	if d.err != nil {
		return wasi.Route{}, d.err
	}
	if t.protocol == runtime.UDP && d.to != t.at {
		n.led(t, d.to)
	}
	route := wasi.Route{To: d.to}
	if d.byNode {
		return route, nil
	}
	if n.own && !n.of(d.to.Addr()).IsValid() {
		return wasi.Route{}, wasi.ErrNetworkUnreachable
	}
	if n.own {
		route.From = n.of(d.to.Addr())
	}
	if d.local && !n.isPods(target{t.protocol, d.to}) {
		return wasi.Route{}, wasi.ErrConnectionRefused
	}
	return route, nil
}

// decision is the result of decide. With a verdict that denies, there is an error.
type decision struct {
	to      netip.AddrPort
	local   bool // it is the address of a pod of this node
	byNode  bool // a question that leaves the cluster
	verdict egress.Verdict
	err     error
}

// decide asks all who decide about a target. names were found to have its address.
func (n *Network) decide(t target, names []egress.Found, resolvers bool) decision {
	c := n.cluster
	c.mu.RLock()
	defer c.mu.RUnlock()
	d := decision{to: t.at}
	deny := func(v egress.Verdict) decision { return decision{verdict: v, err: wasi.ErrAccess} }
	if !resolvers {
		if d.verdict = n.policy.Address(t.at, names, c.sets); d.verdict.Denied {
			return deny(d.verdict)
		}
	}
	if port, isService := c.services.find(t); port != nil && len(port.endpoints) > 0 {
		d.to = n.pod.endpoint(t, port)
		if n.Own(d.to.Addr()) {
			d.local = true
			return d
		}
		if port.service != trusted && !resolvers {
			if v := n.policy.Endpoint(d.to, c.sets); v.Denied {
				return deny(v)
			}
		}
	} else if isService {
		d.err = wasi.ErrConnectionRefused
		return d
	}
	d.local = c.sets.pods[d.to.Addr()] != nil
	d.byNode = resolvers && d.to == t.at && !d.local && !c.sets.Cluster(d.to.Addr())
	if !n.policiesAllow(t.protocol, d.to) {
		return deny(byPolicy)
	}
	return d
}

// policiesAllow reports whether NetworkPolicies allow a connection of the guest to an endpoint: of
// its own pod, and of the other if that is one of this node. The caller holds the Cluster's lock.
func (n *Network) policiesAllow(p runtime.Protocol, to netip.AddrPort) bool {
	c := n.cluster
	if _, out := n.rules(); !out.allow(c.sets, p, to.Addr(), to.Port()) {
		return false
	}
	other := c.sets.pods[to.Addr()]
	return other == nil || !n.own || other.ingress.allow(c.sets, p, n.of(to.Addr()), to.Port())
}

// Accept implements wasi.Network.
func (n *Network) Accept(p runtime.Protocol, local, from netip.AddrPort) error {
	local, from = plainAddress(local), plainAddress(from)
	if n.machine || n.Own(from.Addr()) || !(n.own && n.isPrivate(p, local)) && n.mayEnter(p, local, from) {
		return nil
	}
	// The port of the other end says nothing, and differs each time.
	n.note(netip.AddrPortFrom(from.Addr(), local.Port()).String(), byPolicy, true)
	return wasi.ErrAccess
}

func (n *Network) mayEnter(p runtime.Protocol, local, from netip.AddrPort) bool {
	n.cluster.mu.RLock()
	defer n.cluster.mu.RUnlock()
	return n.entersByPolicy(p, local, from)
}

// entersByPolicy reports whether NetworkPolicies allow a connection to the guest. The caller holds
// the Cluster's lock.
func (n *Network) entersByPolicy(p runtime.Protocol, local, from netip.AddrPort) bool {
	in, _ := n.rules()
	return n.cluster.sets.isNode(from.Addr()) || in.allow(n.cluster.sets, p, from.Addr(), local.Port())
}
