package netpolicy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// setKey says which pods are in a set. Two policies with the same selectors share a set.
type setKey struct {
	namespace  string // of the pods; empty if namespaces are selected
	namespaces string // the selector of namespaces
	pods       string // the selector of pods
	// With a port, only pods are in the set that have a port of this name with this number.
	port     string
	protocol corev1.Protocol
	number   uint16
}

// name is the set's name. Names of objects and labels may be long, so they are hashed.
func (k setKey) name() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{k.namespace, k.namespaces, k.pods, k.port, string(k.protocol), fmt.Sprint(k.number)}))
	return "pods-" + hex.EncodeToString(sum[:12])
}

// set has the addresses of the pods that a key selects.
type set struct {
	setKey
	ofNamespaces labels.Selector // nil: only those of setKey.namespace
	ofPods       labels.Selector

	users   int
	members map[netip.Addr]int // how many pods have an address: for a moment, two may
	fresh   bool               // it was not told yet
	changed map[netip.Addr]struct{}
}

// has reports whether a pod of a namespace with these labels is in the set.
func (s *set) has(p *Pod, namespace labels.Set, known bool) bool {
	switch {
	case s.ofNamespaces == nil && p.Namespace != s.namespace:
		return false
	case s.ofNamespaces != nil && (!known || !s.ofNamespaces.Matches(namespace)):
		return false
	case !s.ofPods.Matches(labels.Set(p.Labels)):
		return false
	}
	return s.port == "" || slices.Contains(p.numbers(s.port, s.protocol), s.number)
}

func (s *set) add(addresses []netip.Addr) {
	for _, a := range addresses {
		if s.members[a]++; s.members[a] == 1 {
			s.toggle(a)
		}
	}
}

func (s *set) remove(addresses []netip.Addr) {
	for _, a := range addresses {
		if s.members[a]--; s.members[a] <= 0 {
			delete(s.members, a)
			s.toggle(a)
		}
	}
}

// toggle notes that an address has come or gone. If it does both before the change is taken,
// nothing has changed.
func (s *set) toggle(a netip.Addr) {
	if _, twice := s.changed[a]; twice {
		delete(s.changed, a)
		return
	}
	s.changed[a] = struct{}{}
}

// take returns what has changed since the last call.
func (s *set) take() (u runtime.AddressSet, changed bool) {
	if s.fresh {
		s.fresh, s.changed = false, map[netip.Addr]struct{}{}
		return s.whole(), true
	}
	if len(s.changed) == 0 {
		return runtime.AddressSet{}, false
	}
	u.Name = s.name()
	for a := range s.changed {
		if s.members[a] > 0 {
			u.Add = append(u.Add, single(a))
		} else {
			u.Remove = append(u.Remove, single(a))
		}
	}
	s.changed = map[netip.Addr]struct{}{}
	return u, true
}

// whole is all of the set.
func (s *set) whole() runtime.AddressSet {
	u := runtime.AddressSet{Name: s.name(), Reset: true}
	for a := range s.members {
		u.Add = append(u.Add, single(a))
	}
	return u
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
