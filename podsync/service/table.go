package service

import (
	"net/netip"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Table has the Services of a cluster, as guests of one node are to reach them. One goroutine at a
// time may use it.
type Table struct {
	node, zone string
	services   map[types.NamespacedName]*corev1.Service
	slices     map[types.NamespacedName]map[string]*discoveryv1.EndpointSlice // by Service and name
	stale      map[types.NamespacedName]struct{}
	told       map[string]runtime.Service // by name, as it was taken last
}

// NewTable makes the table of a node.
func NewTable(node string) *Table {
	return &Table{
		node:     node,
		services: map[types.NamespacedName]*corev1.Service{},
		slices:   map[types.NamespacedName]map[string]*discoveryv1.EndpointSlice{},
		stale:    map[types.NamespacedName]struct{}{},
		told:     map[string]runtime.Service{},
	}
}

// SetZone says in which zone the node is; empty if that is not known.
func (t *Table) SetZone(zone string) {
	if t.zone == zone {
		return
	}
	t.zone = zone
	for key := range t.services {
		t.stale[key] = struct{}{}
	}
}

// SetService adds a Service, or replaces the one of its name. The Table does not change it.
func (t *Table) SetService(s *corev1.Service) {
	key := types.NamespacedName{Namespace: s.Namespace, Name: s.Name}
	t.services[key] = s
	t.stale[key] = struct{}{}
}

// DeleteService removes a Service.
func (t *Table) DeleteService(s *corev1.Service) {
	key := types.NamespacedName{Namespace: s.Namespace, Name: s.Name}
	delete(t.services, key)
	t.stale[key] = struct{}{}
}

// serviceOf is the Service to which an EndpointSlice belongs. ok is false for one that belongs to
// none.
func serviceOf(s *discoveryv1.EndpointSlice) (key types.NamespacedName, ok bool) {
	name := s.Labels[discoveryv1.LabelServiceName]
	return types.NamespacedName{Namespace: s.Namespace, Name: name}, name != ""
}

// SetSlice adds an EndpointSlice, or replaces the one of its name. old is its earlier state, or
// nil. The Table does not change it.
func (t *Table) SetSlice(old, s *discoveryv1.EndpointSlice) {
	if old != nil {
		if before, _ := serviceOf(old); before != keyOrNone(s) {
			t.DeleteSlice(old)
		}
	}
	key, ok := serviceOf(s)
	if !ok {
		return
	}
	if t.slices[key] == nil {
		t.slices[key] = map[string]*discoveryv1.EndpointSlice{}
	}
	t.slices[key][s.Name] = s
	t.stale[key] = struct{}{}
}

func keyOrNone(s *discoveryv1.EndpointSlice) types.NamespacedName {
	key, _ := serviceOf(s)
	return key
}

// DeleteSlice removes an EndpointSlice.
func (t *Table) DeleteSlice(s *discoveryv1.EndpointSlice) {
	key := keyOrNone(s)
	if t.slices[key][s.Name] == nil {
		return
	}
	delete(t.slices[key], s.Name)
	if len(t.slices[key]) == 0 {
		delete(t.slices, key)
	}
	t.stale[key] = struct{}{}
}

// ClearSlices forgets all EndpointSlices.
func (t *Table) ClearSlices() {
	for key := range t.slices {
		t.stale[key] = struct{}{}
	}
	clear(t.slices)
}

// Take returns the Services that have changed since the last call. One that is gone has no ports.
func (t *Table) Take() []runtime.Service {
	var changed []runtime.Service
	for key := range t.stale {
		for _, s := range t.made(key) {
			before, told := t.told[s.Name]
			switch {
			case len(s.Ports) == 0 && !told, told && reflect.DeepEqual(before, s):
				continue
			case len(s.Ports) == 0:
				delete(t.told, s.Name)
			default:
				t.told[s.Name] = s
			}
			changed = append(changed, s)
		}
	}
	clear(t.stale)
	return changed
}

// All returns all Services, as Take has told them.
func (t *Table) All() []runtime.Service {
	all := make([]runtime.Service, 0, len(t.told))
	for _, s := range t.told {
		all = append(all, s)
	}
	return all
}

// Addresses calls each for the cluster IPs of all Services.
func (t *Table) Addresses(each func(netip.Addr)) {
	for _, s := range t.services {
		for _, a := range clusterIPs(s) {
			each(a)
		}
	}
}

// made is what guests need of a Service: one for each family of addresses, because an address leads
// only to endpoints of its family. The Service's first family has the Service's own name.
func (t *Table) made(key types.NamespacedName) []runtime.Service {
	first := runtime.Service{Name: key.String()}
	second := runtime.Service{Name: key.String() + " (second family)"}
	s := t.services[key]
	if s == nil || s.Labels[proxyName] != "" {
		return []runtime.Service{first, second}
	}
	for i, a := range clusterIPs(s) {
		of := &first
		if i > 0 {
			of = &second
		}
		of.Addresses = []netip.Addr{a}
		of.Affinity = affinityOf(s)
		of.Ports = t.ports(s, key, a.Is4())
	}
	return []runtime.Service{first, second}
}

// proxyName is the label of a Service that another proxy than the node's leads.
const proxyName = "service.kubernetes.io/service-proxy-name"

// clusterIPs are the addresses of a Service, at most one of each family.
func clusterIPs(s *corev1.Service) (addresses []netip.Addr) {
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	ips := s.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{s.Spec.ClusterIP}
	}
	for _, ip := range ips {
		if a, err := netip.ParseAddr(ip); err == nil && len(addresses) < 2 { // "None" is no address
			addresses = append(addresses, a)
		}
	}
	return addresses
}

// defaultAffinity is the time for which clients are sent to the same endpoint if the Service does
// not say.
const defaultAffinity = 3 * time.Hour

func affinityOf(s *corev1.Service) time.Duration {
	if s.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return 0
	}
	if c := s.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		return time.Duration(*c.ClientIP.TimeoutSeconds) * time.Second
	}
	return defaultAffinity
}

func (t *Table) ports(s *corev1.Service, key types.NamespacedName, four bool) []runtime.ServicePort {
	local := s.Spec.InternalTrafficPolicy != nil && *s.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal
	var ports []runtime.ServicePort
	for _, p := range s.Spec.Ports {
		port := runtime.ServicePort{Port: runtime.Port{Number: uint16(p.Port)}} //nolint:gosec // the API server checks the range
		switch p.Protocol {
		case corev1.ProtocolTCP, "":
		case corev1.ProtocolUDP:
			port.Protocol = runtime.UDP
		default:
			continue
		}
		port.Endpoints = t.choose(t.endpoints(key, p, four), local)
		ports = append(ports, port)
	}
	return ports
}

// endpoint is an endpoint at one port of a Service.
type endpoint struct {
	at                          netip.AddrPort
	ready, serving, terminating bool
	local                       bool
	nodes, zones                []string // hints: for whom it is
}

// endpoints are those of a Service's port, of one family.
func (t *Table) endpoints(key types.NamespacedName, p corev1.ServicePort, four bool) (all []endpoint) {
	for _, slice := range t.slices[key] {
		for _, port := range slice.Ports {
			if valueOf(port.Name, "") != p.Name || valueOf(port.Protocol, corev1.ProtocolTCP) != protocolOf(p) || port.Port == nil {
				continue
			}
			for i := range slice.Endpoints {
				if e, ok := t.endpoint(&slice.Endpoints[i], *port.Port); ok && e.at.Addr().Is4() == four {
					all = append(all, e)
				}
			}
		}
	}
	return all
}

func protocolOf(p corev1.ServicePort) corev1.Protocol {
	if p.Protocol == "" {
		return corev1.ProtocolTCP
	}
	return p.Protocol
}

func (t *Table) endpoint(of *discoveryv1.Endpoint, port int32) (e endpoint, ok bool) {
	if len(of.Addresses) == 0 || port < 1 || port > 65535 {
		return e, false
	}
	a, err := netip.ParseAddr(of.Addresses[0]) // all of its addresses stand for the same
	if err != nil {
		return e, false // the slice has names
	}
	e = endpoint{
		at:      netip.AddrPortFrom(a.Unmap(), uint16(port)),
		ready:   valueOf(of.Conditions.Ready, true),
		serving: valueOf(of.Conditions.Serving, valueOf(of.Conditions.Ready, true)), terminating: valueOf(of.Conditions.Terminating, false),
		local: valueOf(of.NodeName, "") == t.node,
	}
	if of.Hints != nil {
		for _, n := range of.Hints.ForNodes {
			e.nodes = append(e.nodes, n.Name)
		}
		for _, z := range of.Hints.ForZones {
			e.zones = append(e.zones, z.Name)
		}
	}
	return e, true
}

func valueOf[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// choose are the endpoints to which guests may be sent, in order and without doubles: for a moment,
// two slices may have the same.
func (t *Table) choose(all []endpoint, local bool) []netip.AddrPort {
	if local {
		all = slices.DeleteFunc(all, func(e endpoint) bool { return !e.local })
	}
	ready := slices.DeleteFunc(slices.Clone(all), func(e endpoint) bool { return !e.ready })
	if !local {
		ready = t.hinted(ready)
	}
	if len(ready) == 0 {
		ready = slices.DeleteFunc(all, func(e endpoint) bool { return !e.serving || !e.terminating })
	}
	var chosen []netip.AddrPort
	for _, e := range ready {
		chosen = append(chosen, e.at)
	}
	slices.SortFunc(chosen, netip.AddrPort.Compare)
	return slices.Compact(chosen)
}

// hinted are those of the ready endpoints that are for this node, or else for its zone. Hints count
// only if all endpoints have them, and one is for the node.
func (t *Table) hinted(ready []endpoint) []endpoint {
	for _, by := range []struct {
		wanted string
		hints  func(endpoint) []string
	}{
		{t.node, func(e endpoint) []string { return e.nodes }},
		{t.zone, func(e endpoint) []string { return e.zones }},
	} {
		unhinted := slices.ContainsFunc(ready, func(e endpoint) bool { return len(by.hints(e)) == 0 })
		var ours []endpoint
		for _, e := range ready {
			if by.wanted != "" && slices.Contains(by.hints(e), by.wanted) {
				ours = append(ours, e)
			}
		}
		if !unhinted && len(ours) > 0 {
			return ours
		}
	}
	return ready
}
