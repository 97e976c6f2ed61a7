package network

import (
	"fmt"
	"net/netip"
	"slices"
	"unique"

	"github.com/gaissmai/bart"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// The bounds of sets. A cluster of Kubernetes has up to 150,000 pods.
const (
	maxSets      = 100_000
	maxAddresses = 2_000_000 // of all sets together
)

// sets are the named sets of addresses. They do not change: an update makes new ones, which share
// what is the same.
type sets struct {
	byName map[setName]*bart.Lite
	// index has for each address the sets that have it as a range of its own. So a decision need
	// not ask each set.
	index  *bart.Table[[]setName]
	ranged []setName // sets that have larger ranges
	count  int       // of addresses and ranges in all sets
	max    int       // of them

	cluster, node *bart.Lite // nil if they are not known
	pods          map[netip.Addr]*pod
}

var (
	clusterSet = unique.Make(runtime.ClusterSet)
	nodeSet    = unique.Make(runtime.NodeSet)
)

func newSets() *sets {
	return &sets{byName: map[setName]*bart.Lite{}, index: new(bart.Table[[]setName]), max: maxAddresses}
}

// of are the sets that have the address as a range of its own.
func (s *sets) of(a netip.Addr) []setName {
	list, _ := s.index.Lookup(a)
	return list
}

func (s *sets) has(name setName, a netip.Addr) bool {
	t, ok := s.byName[name]
	return ok && t.Contains(a)
}

// setsUpdate makes new sets of old ones.
type setsUpdate struct {
	sets
	fresh bool // the index is not in use yet
	errs  []error
}

// updated are the sets after updates. reset says that they are all.
func (s *sets) updated(updates []runtime.AddressSet, reset bool) (*sets, []error) {
	if len(updates) == 0 && !reset {
		return s, nil
	}
	u := setsUpdate{sets: *s, fresh: reset}
	u.byName = make(map[setName]*bart.Lite, len(s.byName)+len(updates))
	if reset {
		u.index, u.ranged, u.count = new(bart.Table[[]setName]), nil, 0
	} else {
		for name, t := range s.byName {
			u.byName[name] = t
		}
		u.ranged = slices.Clone(s.ranged)
	}
	for _, update := range updates {
		u.apply(update)
	}
	u.cluster, u.node = u.byName[clusterSet], u.byName[nodeSet]
	return &u.sets, u.errs
}

func (u *setsUpdate) apply(update runtime.AddressSet) {
	name := unique.Make(update.Name)
	before, known := u.byName[name]
	if !known {
		before = new(bart.Lite)
	}
	after, changed := before, make([]netip.Prefix, 0, len(update.Add)+len(update.Remove))
	if update.Reset {
		after, changed = new(bart.Lite), slices.AppendSeq(changed, before.All())
	}
	for _, p := range update.Remove {
		if p, ok := plain(p); ok {
			after, changed = after.DeletePersist(p), append(changed, p)
		}
	}
	for _, p := range update.Add {
		p, ok := plain(p)
		if !ok {
			continue
		}
		if u.count+after.Size()-before.Size() >= u.max || !known && len(u.byName) >= maxSets {
			u.errs = append(u.errs, fmt.Errorf("more than %d sets or %d addresses: the set %.40q lacks some", maxSets, u.max, update.Name))
			break
		}
		changed = append(changed, p)
		if update.Reset {
			after.Insert(p) // it is not in use yet
		} else {
			after = after.InsertPersist(p)
		}
	}
	u.reindex(name, before, after, changed)
	u.count += after.Size() - before.Size()
	if after.Size() == 0 {
		delete(u.byName, name)
		return
	}
	u.byName[name] = after
}

// reindex notes what has changed in a set.
func (u *setsUpdate) reindex(name setName, before, after *bart.Lite, changed []netip.Prefix) {
	wide := false
	for _, p := range changed {
		was, is := before.Get(p), after.Get(p)
		switch {
		case !p.IsSingleIP():
			wide = true
		case was && !is:
			u.modify(p, func(list []setName, _ bool) ([]setName, bool) {
				list = slices.DeleteFunc(slices.Clone(list), func(n setName) bool { return n == name })
				return list, len(list) == 0
			})
		case is && !slices.Contains(u.of(p.Addr()), name):
			u.modify(p, func(list []setName, _ bool) ([]setName, bool) {
				return append(slices.Clip(list), name), false
			})
		}
	}
	if !wide {
		return
	}
	u.ranged = slices.DeleteFunc(u.ranged, func(n setName) bool { return n == name })
	for p := range after.All() {
		if !p.IsSingleIP() {
			u.ranged = append(u.ranged, name)
			return
		}
	}
}

// modify changes the index for an address.
func (u *setsUpdate) modify(p netip.Prefix, f func(list []setName, known bool) ([]setName, bool)) {
	if u.fresh {
		u.index.Modify(p, f)
	} else {
		u.index = u.index.ModifyPersist(p, f)
	}
}

// Cluster implements egress.Sets.
func (s *sets) Cluster(a netip.Addr) bool { return s.cluster != nil && s.cluster.Contains(a) }

// Node implements egress.Sets. The node's set has the ranges of its pods, because all their
// addresses lead to the node; those that pods have are theirs.
func (s *sets) Node(a netip.Addr) bool {
	return s.node == nil || s.node.Contains(a) && s.pods[a] == nil
}

// isNode reports whether an address is known to be the node's. One of a range of pods is not, even
// if it is not known yet which pod has it.
func (s *sets) isNode(a netip.Addr) bool {
	return s.node != nil && s.node.Get(netip.PrefixFrom(a, a.BitLen())) && s.pods[a] == nil
}

// NodeRange implements egress.Sets.
func (s *sets) NodeRange(p netip.Prefix) bool { return s.node != nil && s.node.LookupPrefix(p) }
