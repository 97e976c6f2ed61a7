package network

import (
	"net/netip"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// maxPrivate bounds the sockets that listen at loopback addresses.
const maxPrivate = 1024

// plainAddress is an address in the form that is compared: not an IPv4-mapped one, and without a
// zone.
func plainAddress(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().WithZone("").Unmap(), a.Port())
}

// of is the guest's own address of the family of another.
func (n *Network) of(a netip.Addr) netip.Addr {
	if a.Is4() {
		return n.four
	}
	return n.six
}

// Own implements wasi.Network.
func (n *Network) Own(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	return n.own && a.IsValid() && (a == n.four || a == n.six)
}

// Bind implements wasi.Network.
func (n *Network) Bind(p runtime.Protocol, address netip.AddrPort, listen bool) (netip.AddrPort, error) {
	switch {
	case n.machine:
		return netip.AddrPortFrom(address.Addr().Unmap(), address.Port()), nil
	case n.own:
		return n.bindOwn(p, plainAddress(address), listen)
	}
	return n.bindShared(p, plainAddress(address), listen)
}

// bindOwn is Bind for a guest whose pod has an address of its own.
func (n *Network) bindOwn(p runtime.Protocol, address netip.AddrPort, listen bool) (netip.AddrPort, error) {
	a := address.Addr()
	own := n.of(a)
	if !own.IsValid() || a != own && !a.IsUnspecified() && !a.IsLoopback() {
		return netip.AddrPort{}, wasi.ErrAddressNotAvailable
	}
	bound := netip.AddrPortFrom(own, address.Port())
	if !listen || address.Port() == 0 || !a.IsLoopback() {
		return bound, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, known := n.private[target{p, bound}]; !known && len(n.private) >= maxPrivate {
		return netip.AddrPort{}, wasi.ErrNoBuffers
	}
	n.private[target{p, bound}]++ // several sockets may be bound to a port of which one then listens
	return bound, nil
}

// Unbind implements wasi.Network.
func (n *Network) Unbind(p runtime.Protocol, local netip.AddrPort) {
	if !n.own {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	at := target{p, plainAddress(local)}
	if n.private[at]--; n.private[at] <= 0 {
		delete(n.private, at)
	}
}

// bindShared is Bind for a guest that shares the addresses of the machine.
func (n *Network) bindShared(p runtime.Protocol, address netip.AddrPort, listen bool) (netip.AddrPort, error) {
	a := address.Addr()
	own := n.of(a)
	if a != own && !a.IsUnspecified() {
		return netip.AddrPort{}, wasi.ErrAddressNotAvailable
	}
	if _, named := n.ports[runtime.Port{Protocol: p, Number: address.Port()}]; !named {
		if listen || address.Port() != 0 {
			return netip.AddrPort{}, wasi.ErrAccess
		}
		return address, nil
	}
	if !own.IsValid() {
		return netip.AddrPort{}, wasi.ErrAddressNotAvailable
	}
	return netip.AddrPortFrom(own, address.Port()), nil
}

// isPrivate reports whether a socket was bound to the guest's loopback.
func (n *Network) isPrivate(p runtime.Protocol, local netip.AddrPort) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, private := n.private[target{p, local}]
	return private
}

// Shown implements wasi.Network. A socket that was bound to a loopback address is shown there.
func (n *Network) Shown(local netip.AddrPort) netip.AddrPort {
	local = plainAddress(local)
	if !n.own || !n.isPrivate(runtime.TCP, local) && !n.isPrivate(runtime.UDP, local) {
		return local
	}
	if local.Addr().Is4() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), local.Port())
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), local.Port())
}
