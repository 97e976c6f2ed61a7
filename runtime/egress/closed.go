package egress

import (
	"encoding/binary"
	"net/netip"

	"github.com/gaissmai/bart"
)

// closedRanges are closed unless the node's ceiling names them.
var closedRanges = []string{
	"0.0.0.0/8",          // unspecified: Linux takes 0.0.0.0 for loopback
	"127.0.0.0/8",        // loopback
	"169.254.0.0/16",     // link-local, with the metadata services of most clouds
	"224.0.0.0/4",        // multicast
	"255.255.255.255/32", // broadcast
	"::/128", "::1/128", "fe80::/10", "ff00::/8",
	// Metadata and credentials for machines, at addresses that are not link-local:
	"100.100.100.200/32", // Alibaba Cloud
	"168.63.129.16/32",   // Azure
	"192.0.0.192/32",     // Oracle Cloud
	"fd00:ec2::/64",      // AWS: ::254, and ::23 for pods' identities
	"fd20:ce::254/128",   // Google Cloud
	"fd00:42::42/128",    // Scaleway
	// NAT64 with a prefix of the network's own (RFC 8215): where in it the IPv4 address is differs
	// from network to network.
	"64:ff9b:1::/48",
}

var closedTable = func() *bart.Lite {
	t := new(bart.Lite)
	for _, text := range closedRanges {
		t.Insert(netip.MustParsePrefix(text))
	}
	return t
}()

// closed reports whether an address, which is not an IPv4-mapped one, is closed by itself, or
// because the node has it, or because it stands for such an address.
func closed(a netip.Addr, sets Sets) bool {
	if closedTable.Contains(a) || sets.Node(a) {
		return true
	}
	if a.Is4() {
		return false
	}
	b := a.As16()
	for _, form := range forms {
		if inner, ok := form(b); ok && (closedTable.Contains(inner) || sets.Node(inner)) {
			return true
		}
	}
	return false
}

// forms are the ways in which an IPv6 address stands for an IPv4 address.
var forms = []func(b [16]byte) (netip.Addr, bool){
	// IPv4-compatible: RFC 4291, 2.5.5.1. This is also :: and ::1.
	func(b [16]byte) (netip.Addr, bool) { return in4(b, 12), isZero(b[:12]) },
	// IPv4-translated: RFC 2765, 2.1.
	func(b [16]byte) (netip.Addr, bool) {
		return in4(b, 12), isZero(b[:8]) && binary.BigEndian.Uint32(b[8:]) == 0xffff_0000
	},
	// NAT64: RFC 6052, 2.1.
	func(b [16]byte) (netip.Addr, bool) {
		return in4(b, 12), binary.BigEndian.Uint32(b[:]) == 0x64_ff9b && isZero(b[4:12])
	},
	// 6to4: RFC 3056, 2.
	func(b [16]byte) (netip.Addr, bool) { return in4(b, 2), binary.BigEndian.Uint16(b[:]) == 0x2002 },
	// Teredo has the server's address, and the client's with its bits inverted: RFC 4380, 4.
	func(b [16]byte) (netip.Addr, bool) { return in4(b, 4), isTeredo(b) },
	func(b [16]byte) (netip.Addr, bool) {
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), isTeredo(b)
	},
	// ISATAP: RFC 5214, 6.1.
	func(b [16]byte) (netip.Addr, bool) {
		return in4(b, 12), binary.BigEndian.Uint32(b[8:])&^0x0200_0000 == 0x5efe
	},
}

func in4(b [16]byte, at int) netip.Addr { return netip.AddrFrom4([4]byte(b[at : at+4])) }

func isZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

func isTeredo(b [16]byte) bool { return binary.BigEndian.Uint32(b[:]) == 0x2001_0000 }

// opens reports whether the list opens a closed address: by an entry that is the address, or a
// range of only closed addresses.
func (l *List) opens(a netip.AddrPort, sets Sets) bool {
	addr := a.Addr()
	for prefix, p := range l.addresses.Supernets(netip.PrefixFrom(addr, addr.BitLen())) {
		if p.has(a.Port()) && (prefix.IsSingleIP() || closedTable.LookupPrefix(prefix) || sets.NodeRange(prefix)) {
			return true
		}
	}
	return false
}
