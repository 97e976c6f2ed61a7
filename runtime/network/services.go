package network

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// The bounds of Services.
const (
	maxServices  = 100_000
	maxEndpoints = 1_000_000 // of all Services together
	// maxAffine bounds the Services of which a pod's endpoint is remembered.
	maxAffine = 256
)

// trusted is the Service of the API server, which alone writes its endpoints. They may be at the
// node's own address.
const trusted = "default/kubernetes"

// target is what a guest connects to.
type target struct {
	protocol runtime.Protocol
	at       netip.AddrPort
}

// services are the Services of a cluster. The caller protects them.
type services struct {
	byName    map[string]runtime.Service
	ports     map[target]*servicePort
	addresses map[netip.Addr]int // how many ports each has
	endpoints int
	clash     bool // two have, or had, the same address and port
}

type servicePort struct {
	service   string
	affinity  time.Duration
	endpoints []netip.AddrPort
}

func newServices() *services {
	return &services{byName: map[string]runtime.Service{}, ports: map[target]*servicePort{}, addresses: map[netip.Addr]int{}}
}

// apply puts a Service in the place of an earlier one of the name.
func (s *services) apply(update runtime.Service) error {
	before := s.byName[update.Name]
	s.drop(before)
	if len(update.Ports) == 0 {
		if s.clash {
			s.rebuild()
		}
		return nil
	}
	n := 0
	for _, p := range update.Ports {
		n += len(p.Endpoints)
	}
	if len(s.byName) >= maxServices || s.endpoints+n > maxEndpoints {
		return fmt.Errorf("more than %d Services or %d endpoints: guests do not reach the Service %.80q", maxServices, maxEndpoints, update.Name)
	}
	s.byName[update.Name] = update
	s.endpoints += n
	s.enter(update)
	return nil
}

// enter makes the ports of a Service known.
func (s *services) enter(service runtime.Service) {
	for _, p := range service.Ports {
		port := &servicePort{service: service.Name, affinity: service.Affinity}
		for _, e := range p.Endpoints {
			port.endpoints = append(port.endpoints, netip.AddrPortFrom(e.Addr().Unmap(), e.Port()))
		}
		for _, a := range service.Addresses {
			key := target{p.Protocol, netip.AddrPortFrom(a.Unmap(), p.Number)}
			if _, taken := s.ports[key]; taken {
				s.clash = true
			} else {
				s.addresses[a.Unmap()]++
			}
			s.ports[key] = port
		}
	}
}

// drop forgets a Service, but not what another has taken from it.
func (s *services) drop(service runtime.Service) {
	for _, p := range service.Ports {
		s.endpoints -= len(p.Endpoints)
		for _, a := range service.Addresses {
			key := target{p.Protocol, netip.AddrPortFrom(a.Unmap(), p.Number)}
			if port := s.ports[key]; port == nil || port.service != service.Name {
				continue
			}
			delete(s.ports, key)
			if s.addresses[a.Unmap()]--; s.addresses[a.Unmap()] <= 0 {
				delete(s.addresses, a.Unmap())
			}
		}
	}
	delete(s.byName, service.Name)
}

// rebuild enters all Services again, so that one of two with the same address and port has it.
func (s *services) rebuild() {
	clear(s.ports)
	clear(s.addresses)
	s.clash = false
	for _, service := range s.byName {
		s.enter(service)
	}
}

// find returns the port of a Service that a guest connects to. isService reports whether the
// address is one of a Service at all.
func (s *services) find(to target) (port *servicePort, isService bool) {
	if port = s.ports[to]; port != nil {
		return port, true
	}
	return nil, s.addresses[to.at.Addr()] > 0
}

// has reports whether the Service has the endpoint, at any of its ports.
func (s *services) has(name string, endpoint netip.AddrPort) bool {
	for _, p := range s.byName[name].Ports {
		if slices.Contains(p.Endpoints, endpoint) {
			return true
		}
	}
	return false
}

// leads reports whether a port of a Service has the endpoint.
func (s *services) leads(to target, endpoint netip.AddrPort) bool {
	port := s.ports[to]
	return port != nil && slices.Contains(port.endpoints, endpoint)
}

// maxLed bounds the endpoints of datagrams for which it is remembered which Service has led to
// them: from the decision to the watch.
const maxLed = 64

// led notes that a Service leads datagrams of the guest to an endpoint.
func (n *Network) led(service target, endpoint netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, known := n.leads[endpoint]; !known && len(n.leads) >= maxLed {
		clear(n.leads)
	}
	n.leads[endpoint] = service
}

// ledBy is the Service that has led to the endpoint, or zero. The caller holds the mutex.
func (n *Network) ledBy(p runtime.Protocol, endpoint netip.AddrPort) target {
	if p != runtime.UDP {
		return target{}
	}
	service := n.leads[endpoint]
	delete(n.leads, endpoint)
	return service
}

// choose returns one of the endpoints, of which there is at least one.
func (p *servicePort) choose() netip.AddrPort { return p.endpoints[rand.IntN(len(p.endpoints))] }

// affinities are the endpoints to which connections of a pod have gone. The caller protects them.
type affinities map[target]affine

type affine struct {
	endpoint netip.AddrPort
	until    time.Time
}

// choose returns the endpoint for a connection to a port of a Service.
func (as affinities) choose(to target, p *servicePort, now time.Time) netip.AddrPort {
	if last, ok := as[to]; ok && now.Before(last.until) && slices.Contains(p.endpoints, last.endpoint) {
		as[to] = affine{last.endpoint, now.Add(p.affinity)}
		return last.endpoint
	}
	if _, known := as[to]; !known && len(as) >= maxAffine {
		as.drop(now)
	}
	chosen := p.choose()
	as[to] = affine{chosen, now.Add(p.affinity)}
	return chosen
}

// drop makes room: it forgets what does not count any more, or else the one that counts least long.
func (as affinities) drop(now time.Time) {
	var first target
	for to, a := range as {
		if !now.Before(a.until) {
			delete(as, to)
		} else if f, ok := as[first]; !ok || a.until.Before(f.until) {
			first = to
		}
	}
	if len(as) >= maxAffine {
		delete(as, first)
	}
}
