package address

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
)

// ErrExhausted says that every address of a range is in use.
var ErrExhausted = errors.New("no address is free")

// Pool gives addresses to owners. The zero value has no ranges.
type Pool struct {
	mu     sync.Mutex
	ranges []netip.Prefix
	last   map[netip.Prefix]netip.Addr // the address that was given last, by range
	taken  map[netip.Addr]string       // the owners
}

// Serve sets the ranges from which Take gives addresses from now on. Owners keep the addresses that
// they have.
func (p *Pool) Serve(ranges []netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ranges = nil
	for _, r := range ranges {
		p.ranges = append(p.ranges, r.Masked())
	}
}

// Take gives an owner one address of each range, in the order of the ranges. If one range has no
// free address, it gives none. An owner that has addresses keeps them. The error is ErrExhausted.
func (p *Pool) Take(owner string) ([]netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var given []netip.Addr
	for _, r := range p.ranges {
		a, ok := p.find(r, owner)
		if !ok {
			return nil, fmt.Errorf("%w: all %d of %s are in use", ErrExhausted, p.used(r), r)
		}
		given = append(given, a)
	}
	for i, a := range given {
		p.note(a, owner)
		p.remember(p.ranges[i], a)
	}
	return given, nil
}

// Keep notes the addresses that an owner already has, of any ranges. If another owner has one of
// them, it returns false and changes nothing.
func (p *Pool) Keep(owner string, addresses []netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range addresses {
		if by, is := p.taken[a]; is && by != owner {
			return false
		}
	}
	for _, a := range addresses {
		p.note(a, owner)
	}
	return true
}

// Release frees the addresses of an owner.
func (p *Pool) Release(owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a, by := range p.taken {
		if by == owner {
			delete(p.taken, a)
		}
	}
}

func (p *Pool) note(a netip.Addr, owner string) {
	if p.taken == nil {
		p.taken = map[netip.Addr]string{}
	}
	p.taken[a] = owner
}

func (p *Pool) remember(r netip.Prefix, a netip.Addr) {
	if p.last == nil {
		p.last = map[netip.Prefix]netip.Addr{}
	}
	p.last[r] = a
}

// find returns the address of the range that the owner has. If there is none, it returns the first
// free address after the one that was given last.
func (p *Pool) find(r netip.Prefix, owner string) (netip.Addr, bool) {
	for a, by := range p.taken {
		if by == owner && r.Contains(a) {
			return a, true
		}
	}
	a, ok := p.last[r]
	if !ok {
		a = p.newest(r)
	}
	// At most two addresses of a range are not usable. So if an address is free, it is among the
	// next len(p.taken)+3.
	for range len(p.taken) + 3 {
		if a = a.Next(); !r.Contains(a) {
			a = r.Addr()
		}
		if _, is := p.taken[a]; !is && usable(r, a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// newest is the highest address of the range that an owner has, or the first address of the range.
// An earlier process may have given that address last.
func (p *Pool) newest(r netip.Prefix) netip.Addr {
	at := r.Addr()
	for a := range p.taken {
		if r.Contains(a) && at.Less(a) {
			at = a
		}
	}
	return at
}

func (p *Pool) used(r netip.Prefix) int {
	n := 0
	for a := range p.taken {
		if r.Contains(a) && usable(r, a) {
			n++
		}
	}
	return n
}

// usable reports whether a pod can have an address. It cannot have the first address of a range:
// that stands for the network or, in IPv6, for its routers. It cannot have the last address of an
// IPv4 range: that is the broadcast address. In a range of one or two addresses, all are usable.
func usable(r netip.Prefix, a netip.Addr) bool {
	if a.BitLen()-r.Bits() < 2 {
		return true
	}
	return a != r.Addr() && !(a.Is4() && a == last(r))
}

// last is the last address of a range.
func last(r netip.Prefix) netip.Addr {
	bytes := r.Addr().AsSlice()
	for bit := r.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

// Parse reads addresses in the form that String writes.
func Parse(text []string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, t := range text {
		a, err := netip.ParseAddr(t)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// ParseRanges reads ranges such as a Node's podCIDRs: at most one of IPv4 and one of IPv6.
func ParseRanges(cidrs []string) ([]netip.Prefix, error) {
	var ranges []netip.Prefix
	for _, cidr := range cidrs {
		r, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("%q is no range of addresses: write it as 10.1.2.0/24 or fd00:1::/64", cidr)
		}
		same := func(other netip.Prefix) bool { return other.Addr().Is4() == r.Addr().Is4() }
		if slices.ContainsFunc(ranges, same) {
			return nil, fmt.Errorf("%s: there can be one range of IPv4 and one of IPv6", cidr)
		}
		ranges = append(ranges, r.Masked())
	}
	return ranges, nil
}
