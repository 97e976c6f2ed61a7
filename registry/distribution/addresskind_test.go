package distribution

import (
	"net/netip"
	"testing"
)

// docs/security.md: "Private addresses are not refused"
func TestKindOfAddress(t *testing.T) {
	own := netip.MustParseAddr("192.0.2.7")
	for address, want := range map[string]addressKind{
		"127.0.0.1": loopbackAddress, "127.200.0.9": loopbackAddress, "::1": loopbackAddress, "::ffff:127.0.0.1": loopbackAddress,
		"64:ff9b::7f00:1": loopbackAddress,
		"169.254.169.254": linkLocalAddress, "fe80::1": linkLocalAddress, "fe80::1%eth0": linkLocalAddress, "fd00:ec2::254": linkLocalAddress,
		"168.63.129.16": linkLocalAddress, "100.100.100.200": linkLocalAddress, "::ffff:169.254.169.254": linkLocalAddress, "64:ff9b::a9fe:a9fe": linkLocalAddress,
		"0.0.0.0": noAddress, "0.1.2.3": noAddress, "::": noAddress, "224.0.0.1": noAddress, "ff02::1": noAddress, "255.255.255.255": noAddress, "240.0.0.1": noAddress,
		"192.0.2.7": ownAddress, "::ffff:192.0.2.7": ownAddress,
		"192.0.2.8": elsewhereAddress, "10.1.2.3": elsewhereAddress, "192.168.1.1": elsewhereAddress, "172.16.0.1": elsewhereAddress,
		"fd00::1": elsewhereAddress, "2001:db8::1": elsewhereAddress, "203.0.113.9": elsewhereAddress, "100.64.0.1": elsewhereAddress,
	} {
		if got := kindOf(netip.MustParseAddr(address), func(a netip.Addr) bool { return a == own }); got != want {
			t.Errorf("%s is %v, want %v", address, got, want)
		}
	}
}
