package netpolicy

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Index has the policies of a cluster, and what they mean for the pods of this node. One goroutine
// at a time may use it.
type Index struct {
	policies   map[string]map[string]*networkingv1.NetworkPolicy // by namespace and name
	namespaces map[string]labels.Set
	pods       map[string]map[types.UID]*Pod // by namespace
	local      map[types.UID]*localPod
	sets       map[setKey]*set

	ignored bool // policies are not enforced

	stale map[types.UID]struct{} // pods of this node whose rules must be made again
	gone  []string               // pods of this node that were deleted, not taken yet
	ended []string               // sets that nothing uses any more, not taken yet
}

// localPod is a pod of this node.
type localPod struct {
	*Pod
	compiled
	told bool // the rules were taken
}

// NewIndex makes an Index without objects.
func NewIndex() *Index {
	return &Index{
		policies:   map[string]map[string]*networkingv1.NetworkPolicy{},
		namespaces: map[string]labels.Set{},
		pods:       map[string]map[types.UID]*Pod{},
		local:      map[types.UID]*localPod{},
		sets:       map[setKey]*set{},
		stale:      map[types.UID]struct{}{},
	}
}

// Ignore has the pods' rules made without policies, as long as it is set.
func (x *Index) Ignore(policies bool) {
	if x.ignored == policies {
		return
	}
	x.ignored = policies
	for uid := range x.local {
		x.stale[uid] = struct{}{}
	}
}

// SetPolicy adds a policy, or replaces the one of its name.
func (x *Index) SetPolicy(p *networkingv1.NetworkPolicy) {
	if x.policies[p.Namespace] == nil {
		x.policies[p.Namespace] = map[string]*networkingv1.NetworkPolicy{}
	}
	x.policies[p.Namespace][p.Name] = p
	x.policyChanged(p.Namespace)
}

// DeletePolicy removes a policy.
func (x *Index) DeletePolicy(p *networkingv1.NetworkPolicy) {
	delete(x.policies[p.Namespace], p.Name)
	if len(x.policies[p.Namespace]) == 0 {
		delete(x.policies, p.Namespace)
	}
	x.policyChanged(p.Namespace)
}

func (x *Index) policyChanged(namespace string) {
	for uid, l := range x.local {
		if l.Namespace == namespace {
			x.stale[uid] = struct{}{}
		}
	}
}

// SetNamespace sets the labels of a namespace.
func (x *Index) SetNamespace(name string, of map[string]string) {
	before, known := x.namespaces[name]
	if known && maps.Equal(before, of) {
		return
	}
	x.changeNamespace(name, func() { x.namespaces[name] = of })
}

// DeleteNamespace forgets a namespace.
func (x *Index) DeleteNamespace(name string) {
	x.changeNamespace(name, func() { delete(x.namespaces, name) })
}

func (x *Index) changeNamespace(name string, change func()) {
	for _, p := range x.pods[name] {
		x.withdraw(p)
	}
	change()
	for _, p := range x.pods[name] {
		x.enter(p)
	}
}

// SetPod adds a pod of any node, or replaces the one of its UID.
func (x *Index) SetPod(p *Pod) {
	before := x.pods[p.Namespace][p.UID]
	if before != nil {
		if same(before, p) {
			return
		}
		x.withdraw(before)
	}
	if x.pods[p.Namespace] == nil {
		x.pods[p.Namespace] = map[types.UID]*Pod{}
	}
	x.pods[p.Namespace][p.UID] = p
	x.enter(p)
}

// DeletePod removes a pod.
func (x *Index) DeletePod(namespace string, uid types.UID) {
	p := x.pods[namespace][uid]
	if p == nil {
		return
	}
	x.withdraw(p)
	delete(x.pods[namespace], uid)
	if len(x.pods[namespace]) == 0 {
		delete(x.pods, namespace)
	}
}

// SetLocal is SetPod for a pod of this node, which gets rules.
func (x *Index) SetLocal(p *Pod) {
	x.SetPod(p)
	l := x.local[p.UID]
	switch {
	case l == nil:
		x.local[p.UID] = &localPod{Pod: p}
	case same(l.Pod, p):
		return
	default:
		l.Pod = p
	}
	x.stale[p.UID] = struct{}{}
}

// DeleteLocal is DeletePod for a pod of this node.
func (x *Index) DeleteLocal(uid types.UID) {
	l := x.local[uid]
	if l == nil {
		return
	}
	x.DeletePod(l.Namespace, uid)
	delete(x.local, uid)
	delete(x.stale, uid)
	x.use(l.sets, nil)
	if l.told {
		x.gone = append(x.gone, string(uid))
	}
}

// same reports whether two states of a pod mean the same.
func same(a, b *Pod) bool {
	return a.Host == b.Host && maps.Equal(a.Labels, b.Labels) && slices.Equal(a.IPs, b.IPs) && slices.Equal(a.Ports, b.Ports)
}

// enter adds a pod to the sets that it is in.
func (x *Index) enter(p *Pod) {
	of, known := x.namespaces[p.Namespace]
	for _, s := range x.sets {
		if s.has(p, of, known) {
			s.add(p.IPs)
		}
	}
	x.portsChanged(p)
}

// withdraw reverts enter.
func (x *Index) withdraw(p *Pod) {
	of, known := x.namespaces[p.Namespace]
	for _, s := range x.sets {
		if s.has(p, of, known) {
			s.remove(p.IPs)
		}
	}
	x.portsChanged(p)
}

// portsChanged has rules made again that name ports which a pod has.
func (x *Index) portsChanged(p *Pod) {
	if len(p.Ports) == 0 {
		return
	}
	for uid, l := range x.local {
		if slices.ContainsFunc(p.Ports, func(port NamedPort) bool { return l.named[port.Name] }) {
			x.stale[uid] = struct{}{}
		}
	}
}

// numbers are the numbers that a named port has in the pods of a peer.
func (x *Index) numbers(of peer) (numbers []uint16) {
	all := set{setKey: of.key, ofNamespaces: of.namespaces, ofPods: of.selectors.pods}
	all.port = ""
	for name, pods := range x.pods {
		labels, known := x.namespaces[name]
		for _, p := range pods {
			if len(p.IPs) > 0 && all.has(p, labels, known) {
				numbers = append(numbers, p.numbers(of.key.port, of.key.protocol)...)
			}
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// use replaces the sets that a pod's rules need.
func (x *Index) use(before, after map[setKey]selectors) {
	for key, of := range after {
		if _, had := before[key]; had {
			continue
		}
		if x.sets[key] == nil {
			x.sets[key] = x.newSet(key, of)
		}
		x.sets[key].users++
	}
	for key := range before {
		if _, has := after[key]; has {
			continue
		}
		if s := x.sets[key]; s.users > 1 {
			s.users--
		} else {
			delete(x.sets, key)
			if !s.fresh {
				x.ended = append(x.ended, s.name())
			}
		}
	}
}

func (x *Index) newSet(key setKey, of selectors) *set {
	s := &set{setKey: key, ofNamespaces: of.namespaces, ofPods: of.pods, members: map[netip.Addr]int{}, fresh: true, changed: map[netip.Addr]struct{}{}}
	x.ended = slices.DeleteFunc(x.ended, func(name string) bool { return name == key.name() })
	for name, pods := range x.pods {
		labels, known := x.namespaces[name]
		for _, p := range pods {
			if s.has(p, labels, known) {
				s.add(p.IPs)
			}
		}
	}
	return s
}

// Prepare makes the rules that must be made again. It reports whether they depend on the pods of
// other nodes.
func (x *Index) Prepare() (needsPods bool) {
	for uid := range x.stale {
		l := x.local[uid]
		next := x.compile(l.Pod)
		x.use(l.sets, next.sets)
		if reflect.DeepEqual(l.rules, next.rules) {
			next.rules = l.rules
		} else {
			l.told = false
		}
		l.compiled = next
	}
	clear(x.stale)
	if len(x.sets) > 0 {
		return true
	}
	for _, l := range x.local {
		if len(l.named) > 0 {
			return true
		}
	}
	return false
}

// Rules are the rules of a pod of this node, after Prepare.
func (x *Index) Rules(uid types.UID) runtime.PodRules {
	if l := x.local[uid]; l != nil {
		return l.rules
	}
	return runtime.PodRules{Pod: string(uid)}
}

// Admits reports whether a pod of this node may get a connection of TCP from an address, after
// Prepare. It is for connections that the agent forwards, as no worker sees where they come from.
func (x *Index) Admits(uid types.UID, from netip.Addr, port uint16) bool {
	l := x.local[uid]
	if l == nil || l.rules.Ingress == nil || slices.Contains(l.IPs, from) {
		return true
	}
	return slices.ContainsFunc(l.rules.Ingress.List, func(r runtime.Rule) bool {
		at := len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, func(p runtime.PortRange) bool {
			return p.Protocol == runtime.TCP && p.First <= port && port <= p.Last
		})
		return at && (r.Any || x.inSets(l, r.Sets, from) || slices.ContainsFunc(r.Blocks, func(b runtime.Block) bool {
			return b.Prefix.Contains(from) && !slices.ContainsFunc(b.Except, func(p netip.Prefix) bool { return p.Contains(from) })
		}))
	})
}

// inSets reports whether an address is in one of some sets that a pod's rules need.
func (x *Index) inSets(l *localPod, names []string, a netip.Addr) bool {
	for key := range l.sets {
		if x.sets[key].members[a] > 0 && slices.Contains(names, key.name()) {
			return true
		}
	}
	return false
}

// Take returns what has changed since the last call, after Prepare. changed reports whether there
// is anything.
func (x *Index) Take() (u runtime.NetworkUpdate, changed bool) {
	for _, name := range x.ended {
		u.Sets = append(u.Sets, runtime.AddressSet{Name: name, Reset: true})
	}
	for _, uid := range x.gone {
		u.Pods = append(u.Pods, runtime.PodRules{Pod: uid, Gone: true})
	}
	x.ended, x.gone = nil, nil
	for _, s := range x.sets {
		if set, changed := s.take(); changed {
			u.Sets = append(u.Sets, set)
		}
	}
	for _, l := range x.local {
		if !l.told {
			l.told = true
			u.Pods = append(u.Pods, l.rules)
		}
	}
	return u, len(u.Sets)+len(u.Pods) > 0
}

// All returns everything, as Take has told it.
func (x *Index) All() (u runtime.NetworkUpdate) {
	for _, s := range x.sets {
		u.Sets = append(u.Sets, s.whole())
	}
	for _, l := range x.local {
		u.Pods = append(u.Pods, l.rules)
	}
	return u
}

// Addresses calls each for the addresses of all pods.
func (x *Index) Addresses(each func(netip.Addr)) {
	for _, pods := range x.pods {
		for _, p := range pods {
			for _, a := range p.IPs {
				each(a)
			}
		}
	}
}
