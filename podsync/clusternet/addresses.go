package clusternet

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// told is a set whose addresses are found again and again, as it was told last.
type told struct {
	name  string
	known bool
	all   map[netip.Prefix]struct{}
}

// change returns what is different now, if anything is.
func (t *told) change(now map[netip.Prefix]struct{}) (u runtime.AddressSet, changed bool) {
	u = runtime.AddressSet{Name: t.name, Reset: !t.known}
	for p := range now {
		if _, had := t.all[p]; !had {
			u.Add = append(u.Add, p)
		}
	}
	for p := range t.all {
		if _, has := now[p]; !has {
			u.Remove = append(u.Remove, p)
		}
	}
	changed = !t.known || len(u.Add)+len(u.Remove) > 0
	t.all, t.known = now, true
	return u, changed
}

// whole is all of the set.
func (t *told) whole() runtime.AddressSet {
	u := runtime.AddressSet{Name: t.name, Reset: true}
	for p := range t.all {
		u.Add = append(u.Add, p)
	}
	return u
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()) }

// parseRanges leaves out what is no range.
func parseRanges(texts []string) (ranges []netip.Prefix) {
	for _, text := range texts {
		if p, err := netip.ParsePrefix(text); err == nil {
			ranges = append(ranges, p.Masked())
		}
	}
	return ranges
}

// machinePoll is how often the machine's addresses are read. The kernel could tell changes, but
// they are rare, and decisions about them are not urgent.
const machinePoll = 5 * time.Second

// followMachine reads the machine's addresses until ctx ends.
func (c *Cluster) followMachine(ctx context.Context) {
	tick := time.NewTicker(machinePoll)
	defer tick.Stop()
	for {
		addresses, err := c.cfg.Machine()
		if err != nil {
			c.cfg.Log.Warn("reading the machine's addresses", zap.Error(err))
		} else {
			c.setMachine(addresses)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (c *Cluster) setMachine(addresses []netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := map[netip.Prefix]struct{}{}
	for _, a := range append(slices.Clone(c.cfg.Addresses), addresses...) {
		now[single(a)] = struct{}{}
	}
	if c.machine == nil || len(now) != len(c.machine) || slices.ContainsFunc(addresses, func(a netip.Addr) bool { _, had := c.machine[single(a)]; return !had }) {
		c.machine = now
		c.touch()
	}
}

// MachineAddresses are the addresses of the machine's interfaces, and those of IPv4 for all hosts
// of their networks: what is sent to these reaches programs of the machine, too.
func MachineAddresses() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addresses []netip.Addr
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				addresses = append(addresses, addr.Unmap())
				addresses = append(addresses, allHosts(addr.Unmap(), n.Mask)...)
			}
		}
	}
	return addresses, nil
}

// allHosts are the addresses for all hosts of an IPv4 network: the last one, and the first one,
// which older systems take.
func allHosts(a netip.Addr, mask net.IPMask) []netip.Addr {
	const least = 2 // bits of a network that has such addresses (RFC 3021)
	ones, bits := mask.Size()
	if !a.Is4() || bits-ones < least {
		return nil
	}
	ones -= bits - a.BitLen() // the mask may be that of an IPv4-mapped address
	if ones < 1 {
		return nil
	}
	first := netip.PrefixFrom(a, ones).Masked().Addr()
	last := first.As4()
	for i := ones; i < a.BitLen(); i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	return []netip.Addr{first, netip.AddrFrom4(last)}
}
