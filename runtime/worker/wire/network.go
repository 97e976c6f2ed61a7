package wire

import (
	"math"
	"net/netip"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

func toNetwork(n runtime.Network) *workerpb.Network {
	m := &workerpb.Network{
		Own: n.Own, Limits: texts(n.Egress.Limits), Allow: strings.ToValidUTF8(n.Egress.Allow, "\uFFFD"), Audit: n.Egress.Audit,
		Domain: strings.ToValidUTF8(n.Egress.Domain, "\uFFFD"),
		Names:  toNames(n.Names), MaxRequests: int64(n.MaxRequests), Roots: toBytes(n.Roots),
		Rules: toPodRules(n.Rules),
	}
	m.Addresses = toAddresses(n.Addresses)
	for _, p := range n.Ports {
		m.Ports = append(m.Ports, &workerpb.Port{Protocol: toProtocol(p.Protocol), Number: uint32(p.Number)})
	}
	return m
}

// fromNetwork converts a message. Without a message, the guest connects to nothing.
func fromNetwork(m *workerpb.Network) runtime.Network {
	n := runtime.Network{
		Own:    m.GetOwn(),
		Egress: runtime.Egress{Limits: m.GetLimits(), Allow: m.GetAllow(), Audit: m.GetAudit(), Domain: m.GetDomain()},
		Names:  fromNames(m.GetNames()), MaxRequests: int(m.GetMaxRequests()), Roots: fromBytes(m.GetRoots()),
		Rules: fromPodRules(m.GetRules()),
	}
	n.Addresses = fromAddresses(m.GetAddresses())
	for _, p := range m.GetPorts() {
		n.Ports = append(n.Ports, runtime.Port{Protocol: fromProtocol(p.GetProtocol()), Number: port(p.GetNumber())})
	}
	return n
}

func toNames(n runtime.Names) *workerpb.Names {
	m := &workerpb.Names{
		Search: texts(n.Search), Ndots: small(n.Ndots), Timeout: int64(n.Timeout), Attempts: small(n.Attempts), Rotate: n.Rotate,
		Servers: toEndpoints(n.Servers), Chosen: n.Chosen, PodServers: toEndpoints(n.PodServers), Tcp: n.TCP,
	}
	for _, h := range n.Hosts {
		m.Hosts = append(m.Hosts, &workerpb.HostNames{Address: h.Address.AsSlice(), Names: texts(h.Names)})
	}
	return m
}

func fromNames(m *workerpb.Names) runtime.Names {
	n := runtime.Names{
		Servers: fromEndpoints(m.GetServers()), Search: m.GetSearch(), Ndots: int(m.GetNdots()),
		Timeout: duration(m.GetTimeout()), Attempts: int(m.GetAttempts()), Rotate: m.GetRotate(),
		Chosen: m.GetChosen(), PodServers: fromEndpoints(m.GetPodServers()), TCP: m.GetTcp(),
	}
	for _, h := range m.GetHosts() {
		if a, ok := address(h.GetAddress()); ok {
			n.Hosts = append(n.Hosts, runtime.Host{Address: a, Names: h.GetNames()})
		}
	}
	return n
}

// toPodRules returns nil for a pod that no policy is about.
func toPodRules(r runtime.PodRules) *workerpb.PodRules {
	if r.Pod == "" && r.Ingress == nil && r.Egress == nil {
		return nil
	}
	return rulesOf(r)
}

func rulesOf(r runtime.PodRules) *workerpb.PodRules {
	return &workerpb.PodRules{
		Pod: r.Pod, Gone: r.Gone, Addresses: toAddresses(r.Addresses), Ingress: toRules(r.Ingress), Egress: toRules(r.Egress),
	}
}

func fromPodRules(m *workerpb.PodRules) runtime.PodRules {
	return runtime.PodRules{Pod: m.GetPod(), Gone: m.GetGone(), Addresses: fromAddresses(m.GetAddresses()), Ingress: fromRules(m.GetIngress()), Egress: fromRules(m.GetEgress())}
}

func toRules(r *runtime.Rules) *workerpb.Rules {
	if r == nil {
		return nil
	}
	m := &workerpb.Rules{}
	for _, rule := range r.List {
		one := &workerpb.Rule{Any: rule.Any, Sets: rule.Sets}
		for _, b := range rule.Blocks {
			one.Blocks = append(one.Blocks, &workerpb.Block{Prefix: toPrefix(b.Prefix), Except: toPrefixes(b.Except)})
		}
		for _, p := range rule.Ports {
			one.Ports = append(one.Ports, &workerpb.PortRange{Protocol: toProtocol(p.Protocol), First: uint32(p.First), Last: uint32(p.Last)})
		}
		m.List = append(m.List, one)
	}
	return m
}

// fromRules never allows more than the message says: it leaves out a block if it does not
// understand one of its exceptions.
func fromRules(m *workerpb.Rules) *runtime.Rules {
	if m == nil {
		return nil
	}
	rules := &runtime.Rules{}
	for _, rule := range m.GetList() {
		one := runtime.Rule{Any: rule.GetAny(), Sets: rule.GetSets()}
		for _, b := range rule.GetBlocks() {
			p, ok := prefix(b.GetPrefix())
			except := fromPrefixes(b.GetExcept())
			if ok && len(except) == len(b.GetExcept()) {
				one.Blocks = append(one.Blocks, runtime.Block{Prefix: p, Except: except})
			}
		}
		for _, p := range rule.GetPorts() {
			one.Ports = append(one.Ports, runtime.PortRange{Protocol: fromProtocol(p.GetProtocol()), First: port(p.GetFirst()), Last: port(p.GetLast())})
		}
		rules.List = append(rules.List, one)
	}
	return rules
}

func toEndpoints(list []netip.AddrPort) []*workerpb.AddressPort {
	var m []*workerpb.AddressPort
	for _, a := range list {
		m = append(m, &workerpb.AddressPort{Address: a.Addr().AsSlice(), Port: uint32(a.Port())})
	}
	return m
}

func fromEndpoints(m []*workerpb.AddressPort) []netip.AddrPort {
	var list []netip.AddrPort
	for _, e := range m {
		if a, ok := address(e.GetAddress()); ok {
			list = append(list, netip.AddrPortFrom(a, port(e.GetPort())))
		}
	}
	return list
}

func toPrefix(p netip.Prefix) *workerpb.Prefix {
	return &workerpb.Prefix{Address: p.Addr().AsSlice(), Bits: uint32(max(0, p.Bits()))} //nolint:gosec // at most 128
}

func toPrefixes(list []netip.Prefix) []*workerpb.Prefix {
	var m []*workerpb.Prefix
	for _, p := range list {
		m = append(m, toPrefix(p))
	}
	return m
}

// fromPrefixes leaves out what is no prefix.
func fromPrefixes(m []*workerpb.Prefix) []netip.Prefix {
	var list []netip.Prefix
	for _, p := range m {
		if p, ok := prefix(p); ok {
			list = append(list, p)
		}
	}
	return list
}

func prefix(m *workerpb.Prefix) (netip.Prefix, bool) {
	a, ok := address(m.GetAddress())
	p := netip.PrefixFrom(a, int(m.GetBits()))
	return p, ok && p.IsValid()
}

func toAddresses(list []netip.Addr) [][]byte {
	var m [][]byte
	for _, a := range list {
		m = append(m, a.AsSlice())
	}
	return m
}

// fromAddresses leaves out what is no address.
func fromAddresses(m [][]byte) []netip.Addr {
	var list []netip.Addr
	for _, b := range m {
		if a, ok := address(b); ok {
			list = append(list, a)
		}
	}
	return list
}

func address(b []byte) (netip.Addr, bool) { return netip.AddrFromSlice(b) }

// port is 0, which no connection has, for what is no port.
func port(n uint32) uint16 {
	if n > 65535 {
		return 0
	}
	return uint16(n)
}

func small(n int) int32 { return int32(max(0, min(n, math.MaxInt32))) } //nolint:gosec // see the bounds

// texts are names that may come from files with anything in them. A message has only valid ones.
func texts(list []string) []string {
	var valid []string
	for _, s := range list {
		valid = append(valid, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return valid
}

func toProtocol(p runtime.Protocol) workerpb.Protocol {
	if p == runtime.UDP {
		return workerpb.Protocol_UDP
	}
	return workerpb.Protocol_TCP
}

func fromProtocol(p workerpb.Protocol) runtime.Protocol {
	if p == workerpb.Protocol_UDP {
		return runtime.UDP
	}
	return runtime.TCP
}
