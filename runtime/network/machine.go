package network

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// probeLife is how long the result of a probe counts.
const probeLife = 100 * time.Millisecond

// probe is the result of takenEverywhere.
type probe struct {
	of    target
	pods  bool
	until time.Time
}

// isPods reports whether what a guest reaches at an address of this node's pods may be a pod's. A
// program of the machine that listens at all addresses is behind the addresses of all pods, too,
// and it is the node itself. Guests without a ceiling may reach it.
func (n *Network) isPods(t target) bool {
	if !n.policy.Bounded() {
		return true
	}
	now := time.Now()
	n.mu.Lock()
	last := n.probed
	n.mu.Unlock()
	if last.of == t && now.Before(last.until) {
		return last.pods
	}
	pods := !n.taken(t.protocol, t.at)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.probed = probe{t, pods, now.Add(probeLife)}
	return pods
}

// elsewhere are addresses that no program binds to. The first is one of the machine's loopback; the
// second is for packets that go nowhere (RFC 6666).
var (
	elsewhere4 = netip.MustParseAddr("127.81.114.5")
	elsewhere6 = netip.MustParseAddr("100::5172")
)

// takenEverywhere reports whether a socket of the machine has the port at all addresses of the
// family: then no other can have it at an address where nothing is. While it is so, no guest can
// listen at the port, at its own pod's address either. If a probe says nothing, the answer is yes:
// guests have the rights of this process, and cannot listen there.
func takenEverywhere(p runtime.Protocol, at netip.AddrPort) bool {
	family, kind := unix.AF_INET, unix.SOCK_STREAM
	var address unix.Sockaddr = &unix.SockaddrInet4{Port: int(at.Port()), Addr: elsewhere4.As4()}
	if at.Addr().Is6() {
		family, address = unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: elsewhere6.As16()}
	}
	if p == runtime.UDP {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true
	}
	defer func() { _ = unix.Close(fd) }()
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_FREEBIND, 1); err != nil {
			return true
		}
	}
	return unix.Bind(fd, address) != nil
}
