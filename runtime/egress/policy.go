package egress

import (
	"fmt"
	"net/netip"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Sets are what is known of the cluster's addresses. None is an IPv4-mapped one.
type Sets interface {
	// Cluster reports whether an address is one of the cluster (runtime.ClusterSet).
	Cluster(netip.Addr) bool
	// Node reports whether an address is one of the node's own (runtime.NodeSet). While they are not
	// known, each may be one.
	Node(netip.Addr) bool
	// NodeRange reports whether all addresses of a range are the node's own.
	NodeRange(netip.Prefix) bool
}

// Policy decides for a guest. It does not change, and may be used from any goroutine.
type Policy struct {
	limits []*List
	allow  *List
	audit  bool
	domain string
}

// Found is a name, in the form of Canonical, that was found to have an address.
type Found struct {
	Name string
	// Pods says that the pod itself vouches for it, as its hosts file or the servers that it has
	// chosen have the name. This does not count for the ceilings.
	Pods bool
}

// Verdict is a decision. The zero Verdict allows.
type Verdict struct {
	// Noted says that the target is not allowed, and Denied that it is refused: with an audit, it is
	// not.
	Noted, Denied bool
	By            runtime.Decider
}

// New makes the policy of a guest. The error says which list is wrong, and where.
func New(e runtime.Egress) (*Policy, error) { return NewFrom(e, Parse) }

// NewFrom is New with another way to parse, which may know lists already.
func NewFrom(e runtime.Egress, parse func(text string) (*List, error)) (*Policy, error) {
	p := &Policy{audit: e.Audit}
	var err error
	if p.allow, err = parse(e.Allow); err != nil {
		return nil, fmt.Errorf("reading the list of egress: %w", err)
	}
	for i, text := range e.Limits {
		limit, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("reading limit %d of egress: %w", i+1, err)
		}
		p.limits = append(p.limits, limit)
	}
	if e.Domain != "" {
		if p.domain, err = Canonical(e.Domain); err != nil {
			return nil, fmt.Errorf("reading the cluster's domain: %w", err)
		}
	}
	return p, nil
}

// Name decides on a name, which is in the form of Canonical, before it is looked up. Port 0 means
// any.
func (p *Policy) Name(name string, port uint16) Verdict {
	for _, limit := range p.limits {
		if !limit.Name(name, port, p.domain) {
			return Verdict{Noted: true, Denied: true, By: runtime.ByLimit}
		}
	}
	return p.own(p.allow.Name(name, port, p.domain))
}

// own is the decision of the guest's own list.
func (p *Policy) own(allowed bool) Verdict {
	if allowed {
		return Verdict{}
	}
	return Verdict{Noted: true, Denied: !p.audit, By: runtime.ByEgress}
}

// Address decides on an address as the guest names it, which was found for the names.
func (p *Policy) Address(a netip.AddrPort, names []Found, sets Sets) Verdict {
	a = netip.AddrPortFrom(a.Addr().WithZone("").Unmap(), a.Port())
	if len(p.limits) > 0 && !p.within(a, names, sets) {
		return Verdict{Noted: true, Denied: true, By: runtime.ByLimit}
	}
	return p.own(p.allow.address(a, sets) || p.allow.found(a.Port(), names, p.domain, true))
}

// Endpoint decides on an endpoint to which a Service has led that Address allows. Only the ceilings
// are asked, because a Service may have endpoints that its author has chosen.
func (p *Policy) Endpoint(a netip.AddrPort, sets Sets) Verdict {
	a = netip.AddrPortFrom(a.Addr().WithZone("").Unmap(), a.Port())
	if len(p.limits) > 0 && !p.within(a, nil, sets) {
		return Verdict{Noted: true, Denied: true, By: runtime.ByLimit}
	}
	return Verdict{}
}

// Bounded reports whether there is a ceiling.
func (p *Policy) Bounded() bool { return len(p.limits) > 0 }

// Closed reports whether an address is closed by itself, as loopback or the node's own, and the
// node's ceiling does not open it.
func (p *Policy) Closed(a netip.AddrPort, sets Sets) bool {
	a = netip.AddrPortFrom(a.Addr().WithZone("").Unmap(), a.Port())
	return len(p.limits) > 0 && closed(a.Addr(), sets) && !p.limits[0].opens(a, sets)
}

// within reports whether all ceilings allow an address.
func (p *Policy) within(a netip.AddrPort, names []Found, sets Sets) bool {
	rest := p.limits
	if closed(a.Addr(), sets) {
		if !rest[0].opens(a, sets) {
			return false
		}
		rest = rest[1:]
	}
	for _, limit := range rest {
		if !limit.address(a, sets) && !limit.found(a.Port(), names, p.domain, false) {
			return false
		}
	}
	return true
}

// found reports whether the list has one of the names. Those for which the pod vouches count only
// if pods is set.
func (l *List) found(port uint16, names []Found, domain string, pods bool) bool {
	for _, n := range names {
		if (pods || !n.Pods) && l.named(n.Name, port, domain) {
			return true
		}
	}
	return false
}
