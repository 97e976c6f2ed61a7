package clusternet

import (
	"net"
	"net/netip"
	"slices"
	"testing"
)

// TestAllHosts: a datagram to all hosts of the node's network reaches the node, so such an address
// is one of the node's.
func TestAllHosts(t *testing.T) {
	for text, want := range map[string][]string{
		"192.0.2.77/24":   {"192.0.2.0", "192.0.2.255"},
		"10.1.130.9/20":   {"10.1.128.0", "10.1.143.255"},
		"127.0.0.1/8":     {"127.0.0.0", "127.255.255.255"},
		"198.51.100.5/30": {"198.51.100.4", "198.51.100.7"},
		"198.51.100.4/31": nil, "198.51.100.4/32": nil, "2001:db8::5/64": nil, "0.0.0.0/0": nil,
	} {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := netip.AddrFromSlice(ip)
		var got []string
		for _, one := range allHosts(a.Unmap(), network.Mask) {
			got = append(got, one.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v; want %v", text, got, want)
		}
	}
	all, err := MachineAddresses()
	if err != nil || !slices.Contains(all, netip.MustParseAddr("127.255.255.255")) {
		t.Errorf("of this machine: %v, %v", all, err)
	}
}
