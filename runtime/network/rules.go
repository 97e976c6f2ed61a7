package network

import (
	"fmt"
	"net/netip"
	"slices"
	"unique"

	"github.com/gaissmai/bart"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// maxRules bounds the rules of a pod in one direction, and maxBlocks their ranges of addresses,
// with those that they except. The API server's bound for an object, 1.5 MB, has room for some
// 20,000 ranges.
const (
	maxRules  = 10_000
	maxBlocks = 20_000
)

// setName is the name of a set. Names are compared often.
type setName = unique.Handle[string]

// rules are runtime.Rules, made for fast decisions. A nil *rules allows everything. They do not
// change.
type rules struct {
	any    ports             // from and to all addresses
	sets   map[setName]ports // of the sets
	blocks *bart.Table[ports]
}

// newRules makes rules. If there are too many, nothing is allowed, and the error says so.
func newRules(from *runtime.Rules) (*rules, error) {
	if from == nil {
		return nil, nil //nolint:nilnil // nil rules allow everything
	}
	r := &rules{sets: map[setName]ports{}, blocks: new(bart.Table[ports])}
	n := 0
	for _, rule := range from.List {
		for _, b := range rule.Blocks {
			n += 1 + len(b.Except)
		}
	}
	if len(from.List) > maxRules || n > maxBlocks {
		return r, fmt.Errorf("%d rules with %d ranges of addresses are more than %d with %d: none of them allows anything",
			len(from.List), n, maxRules, maxBlocks)
	}
	var blocks blocks
	for _, rule := range from.List {
		p := portsOf(rule.Ports)
		if rule.Any {
			r.any = r.any.and(p)
			continue
		}
		for _, name := range rule.Sets {
			key := unique.Make(name)
			r.sets[key] = r.sets[key].and(p)
		}
		for _, b := range rule.Blocks {
			blocks.add(b, p)
		}
	}
	blocks.fold(r.blocks)
	return r, nil
}

// blocks are the ranges of rules, by their prefixes.
type blocks struct {
	table bart.Table[[]block]
	keys  []netip.Prefix // of all ranges and exceptions
}

type block struct {
	except *bart.Lite // nil: none
	ports  ports
}

func (bs *blocks) add(from runtime.Block, p ports) {
	prefix, ok := plain(from.Prefix)
	if !ok {
		return
	}
	b := block{ports: p}
	bs.keys = append(bs.keys, prefix)
	for _, e := range from.Except {
		if e, ok := plain(e); ok {
			if b.except == nil {
				b.except = new(bart.Lite)
			}
			b.except.Insert(e)
			bs.keys = append(bs.keys, e)
		}
	}
	bs.table.Modify(prefix, func(list []block, _ bool) ([]block, bool) { return append(list, b), false })
}

// fold fills a table in which the longest range that has an address says all ports at which the
// ranges allow it: each range, and each exception, gets the ports of the ranges that contain it
// without an exception for it.
func (bs *blocks) fold(into *bart.Table[ports]) {
	slices.SortFunc(bs.keys, netip.Prefix.Compare)
	for _, key := range slices.Compact(bs.keys) {
		var p ports
		for _, list := range bs.table.Supernets(key) {
			for _, b := range list {
				if !p.all && (b.except == nil || !b.except.LookupPrefix(key)) {
					p = p.and(b.ports)
				}
			}
		}
		into.Insert(key, p)
	}
}

// plain is a prefix without bits behind its length, and of IPv4 if it is IPv4-mapped.
func plain(p netip.Prefix) (netip.Prefix, bool) {
	const mapped = 96 // bits before the IPv4 address
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p.Masked(), p.IsValid()
}

// allow reports whether rules allow a connection with another end, at the port of its target.
func (r *rules) allow(s *sets, p runtime.Protocol, other netip.Addr, port uint16) bool {
	if r == nil || r.any.has(p, port) {
		return true
	}
	if found, ok := r.blocks.Lookup(other); ok && found.has(p, port) {
		return true
	}
	if len(r.sets) == 0 {
		return false
	}
	of := s.of(other)
	if len(r.sets) < len(of) {
		for name, ports := range r.sets {
			if ports.has(p, port) && s.has(name, other) {
				return true
			}
		}
		return false
	}
	for _, name := range of {
		if ports, ok := r.sets[name]; ok && ports.has(p, port) {
			return true
		}
	}
	for _, name := range s.ranged {
		if ports, ok := r.sets[name]; ok && ports.has(p, port) && s.has(name, other) {
			return true
		}
	}
	return false
}
