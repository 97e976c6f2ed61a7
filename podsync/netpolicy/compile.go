package netpolicy

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// The bounds of the rules of a pod. Those who write policies could otherwise have each pod of the
// cluster compared with any number of sets, and workers told more than they take at once. If the
// policies of a pod say more, they allow nothing.
const (
	maxParts = 20_000 // peers, exceptions and ports, with setParts for each set
	setParts = 10     // so there are at most 2000 sets
)

// compiled are the rules of a pod, and what they need.
type compiled struct {
	left  int // of maxParts
	rules runtime.PodRules
	sets  map[setKey]selectors
	named map[string]bool // names of ports of other pods
}

// selectors are what a set is made from.
type selectors struct{ namespaces, pods labels.Selector }

// compile makes the rules of a pod of this node from the policies of its namespace.
func (x *Index) compile(p *Pod) compiled {
	c := compiled{left: maxParts, rules: runtime.PodRules{Pod: string(p.UID), Addresses: p.IPs}, sets: map[setKey]selectors{}, named: map[string]bool{}}
	if p.Host || x.ignored {
		return c
	}
	policies := x.policies[p.Namespace]
	for _, name := range slices.Sorted(maps.Keys(policies)) { // so that nothing changes without a reason
		policy := policies[name]
		// The API server checks selectors. One that cannot be read would select all pods.
		if s, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector); err == nil && !s.Matches(labels.Set(p.Labels)) {
			continue
		}
		ingress, egress := directions(policy)
		if ingress {
			c.rules.Ingress = orEmpty(c.rules.Ingress)
			for _, r := range policy.Spec.Ingress {
				c.ingress(policy.Namespace, p, r)
			}
		}
		if egress {
			c.rules.Egress = orEmpty(c.rules.Egress)
			for _, r := range policy.Spec.Egress {
				c.egress(x, policy.Namespace, r)
			}
		}
	}
	if c.left < 0 {
		c.allowNothing()
	}
	return c
}

// allowNothing forgets the rules. Those who name ports are still compiled again when pods change.
func (c *compiled) allowNothing() {
	for _, r := range []*runtime.Rules{c.rules.Ingress, c.rules.Egress} {
		if r != nil {
			r.List = nil
		}
	}
	clear(c.sets)
}

// spend reports whether there is room for more parts.
func (c *compiled) spend(parts int) bool {
	c.left -= parts
	return c.left >= 0
}

func orEmpty(r *runtime.Rules) *runtime.Rules {
	if r == nil {
		return &runtime.Rules{}
	}
	return r
}

// directions reports which connections of its pods a policy is about.
func directions(policy *networkingv1.NetworkPolicy) (ingress, egress bool) {
	if len(policy.Spec.PolicyTypes) == 0 {
		return true, len(policy.Spec.Egress) > 0
	}
	return slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress),
		slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
}

// ingress adds a rule about connections to the pod. Named ports are the pod's own.
func (c *compiled) ingress(namespace string, p *Pod, r networkingv1.NetworkPolicyIngressRule) {
	rule, _ := c.peers(namespace, r.From)
	for _, port := range r.Ports {
		if !c.spend(1) {
			return
		}
		protocol, known := protocolOf(port)
		switch {
		case !known:
		case port.Port != nil && port.Port.Type == intstr.String:
			for _, n := range p.numbers(port.Port.StrVal, nameOf(protocol)) {
				rule.Ports = append(rule.Ports, runtime.PortRange{Protocol: protocol, First: n, Last: n})
			}
		default:
			rule.Ports = appendRange(rule.Ports, protocol, port)
		}
	}
	if len(r.Ports) == 0 || len(rule.Ports) > 0 {
		c.rules.Ingress.List = append(c.rules.Ingress.List, rule)
	}
}

// egress adds a rule about connections from the pod. A named port is that of the pods at the other
// end, whose numbers may differ. So each number has a rule, with a set of the pods that have it.
func (c *compiled) egress(x *Index, namespace string, r networkingv1.NetworkPolicyEgressRule) {
	rule, peers := c.peers(namespace, r.To)
	for _, port := range r.Ports {
		if !c.spend(1) {
			return
		}
		protocol, known := protocolOf(port)
		switch {
		case !known:
		case port.Port != nil && port.Port.Type == intstr.String:
			c.named[port.Port.StrVal] = true
			c.byName(x, peers, port.Port.StrVal, protocol)
		default:
			rule.Ports = appendRange(rule.Ports, protocol, port)
		}
	}
	if len(r.Ports) == 0 || len(rule.Ports) > 0 {
		c.rules.Egress.List = append(c.rules.Egress.List, rule)
	}
}

// byName adds the rules for a named port of some peers.
func (c *compiled) byName(x *Index, peers []peer, name string, protocol runtime.Protocol) {
	for _, of := range peers {
		if !c.spend(setParts) { // it looks at all pods
			return
		}
		of.key.port, of.key.protocol = name, nameOf(protocol)
		for _, n := range x.numbers(of) {
			if !c.spend(setParts) {
				return
			}
			of.key.number = n
			c.sets[of.key] = of.selectors
			c.rules.Egress.List = append(c.rules.Egress.List, runtime.Rule{
				Sets: []string{of.key.name()}, Ports: []runtime.PortRange{{Protocol: protocol, First: n, Last: n}},
			})
		}
	}
}

// peer is what selects pods at the other end.
type peer struct {
	key setKey
	selectors
}

// everyPod selects all pods of the cluster.
var everyPod = peer{key: setKey{namespaces: "*", pods: ""}, selectors: selectors{labels.Everything(), labels.Everything()}}

// peers makes a rule for the other ends, without ports. The list has the ends that are pods. What
// cannot be read allows nothing.
func (c *compiled) peers(namespace string, from []networkingv1.NetworkPolicyPeer) (rule runtime.Rule, list []peer) {
	if len(from) == 0 {
		return runtime.Rule{Any: true}, []peer{everyPod}
	}
	c.spend(1)
	for _, one := range from {
		if c.left < 0 {
			break
		}
		if one.IPBlock != nil {
			c.spend(1 + len(one.IPBlock.Except))
			if b, ok := blockOf(one.IPBlock); ok {
				rule.Blocks = append(rule.Blocks, b)
			}
			continue
		}
		of, ok := peerOf(namespace, one)
		if !ok {
			continue
		}
		c.spend(setParts)
		list = append(list, of)
		c.sets[of.key] = of.selectors
		if name := of.key.name(); !slices.Contains(rule.Sets, name) {
			rule.Sets = append(rule.Sets, name)
		}
	}
	return rule, list
}

func peerOf(namespace string, p networkingv1.NetworkPolicyPeer) (of peer, ok bool) {
	of = peer{key: setKey{namespace: namespace}, selectors: selectors{pods: labels.Everything()}}
	if p.NamespaceSelector == nil && p.PodSelector == nil {
		return peer{}, false
	}
	var err error
	if p.NamespaceSelector != nil {
		if of.selectors.namespaces, err = metav1.LabelSelectorAsSelector(p.NamespaceSelector); err != nil {
			return peer{}, false
		}
		of.key.namespace, of.key.namespaces = "", "*"+of.selectors.namespaces.String()
	}
	if p.PodSelector != nil {
		if of.selectors.pods, err = metav1.LabelSelectorAsSelector(p.PodSelector); err != nil {
			return peer{}, false
		}
	}
	of.key.pods = of.selectors.pods.String()
	return of, true
}

func blockOf(b *networkingv1.IPBlock) (block runtime.Block, ok bool) {
	prefix, err := netip.ParsePrefix(b.CIDR)
	if err != nil {
		return runtime.Block{}, false
	}
	block.Prefix = prefix.Masked()
	for _, text := range b.Except {
		except, err := netip.ParsePrefix(text)
		if err != nil {
			return runtime.Block{}, false
		}
		block.Except = append(block.Except, except.Masked())
	}
	return block, true
}

// protocolOf reports false for a protocol that guests do not have.
func protocolOf(port networkingv1.NetworkPolicyPort) (runtime.Protocol, bool) {
	switch {
	case port.Protocol == nil || *port.Protocol == corev1.ProtocolTCP:
		return runtime.TCP, true
	case *port.Protocol == corev1.ProtocolUDP:
		return runtime.UDP, true
	}
	return 0, false
}

func nameOf(p runtime.Protocol) corev1.Protocol {
	if p == runtime.UDP {
		return corev1.ProtocolUDP
	}
	return corev1.ProtocolTCP
}

// appendRange adds a port that has a number, or all ports of its protocol.
func appendRange(ranges []runtime.PortRange, protocol runtime.Protocol, port networkingv1.NetworkPolicyPort) []runtime.PortRange {
	r := runtime.PortRange{Protocol: protocol, First: 1, Last: 65535}
	if port.Port != nil {
		n := port.Port.IntVal
		if n < 1 || n > 65535 {
			return ranges
		}
		r.First, r.Last = uint16(n), uint16(n)
		if port.EndPort != nil {
			if *port.EndPort < n || *port.EndPort > 65535 {
				return ranges
			}
			r.Last = uint16(*port.EndPort) //nolint:gosec // see above
		}
	}
	return append(ranges, r)
}
