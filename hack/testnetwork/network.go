// Package testnetwork is a network of guests for tests. It allows what its functions do not refuse.
package testnetwork

import (
	"context"
	"net/netip"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Network implements wasi.Network. A function that is nil allows everything, and changes nothing.
type Network struct {
	OnBind    func(p runtime.Protocol, address netip.AddrPort, listen bool) (netip.AddrPort, error)
	OnUnbind  func(p runtime.Protocol, local netip.AddrPort)
	OnConnect func(p runtime.Protocol, to netip.AddrPort) (wasi.Route, error)
	OnAccept  func(p runtime.Protocol, local, from netip.AddrPort) error
	OnShown   func(local netip.AddrPort) netip.AddrPort
	OnLookup  func(ctx context.Context, name string) ([]netip.Addr, error)
	OwnPrefix netip.Prefix

	mu      sync.Mutex
	watched map[*Watched]struct{}
}

// Watched is a connection that a guest has.
type Watched struct {
	Protocol      runtime.Protocol
	Local, Remote netip.AddrPort
	Outgoing      bool
	cut           func()
}

// Bind implements wasi.Network.
func (n *Network) Bind(p runtime.Protocol, address netip.AddrPort, listen bool) (netip.AddrPort, error) {
	if n.OnBind == nil {
		return address, nil
	}
	return n.OnBind(p, address, listen)
}

// Unbind implements wasi.Network.
func (n *Network) Unbind(p runtime.Protocol, local netip.AddrPort) {
	if n.OnUnbind != nil {
		n.OnUnbind(p, local)
	}
}

// Connect implements wasi.Network.
func (n *Network) Connect(p runtime.Protocol, to netip.AddrPort) (wasi.Route, error) {
	if n.OnConnect == nil {
		return wasi.Route{To: to}, nil
	}
	return n.OnConnect(p, to)
}

// Accept implements wasi.Network.
func (n *Network) Accept(p runtime.Protocol, local, from netip.AddrPort) error {
	if n.OnAccept == nil {
		return nil
	}
	return n.OnAccept(p, local, from)
}

// Shown implements wasi.Network.
func (n *Network) Shown(local netip.AddrPort) netip.AddrPort {
	if n.OnShown == nil {
		return local
	}
	return n.OnShown(local)
}

// Own implements wasi.Network.
func (n *Network) Own(address netip.Addr) bool { return n.OwnPrefix.Contains(address) }

// Watch implements wasi.Network.
func (n *Network) Watch(p runtime.Protocol, local, remote netip.AddrPort, outgoing bool, cut func()) (stop func()) {
	w := &Watched{Protocol: p, Local: local, Remote: remote, Outgoing: outgoing, cut: cut}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.watched == nil {
		n.watched = map[*Watched]struct{}{}
	}
	n.watched[w] = struct{}{}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.watched, w)
	}
}

// Watched returns the connections that are watched.
func (n *Network) Watched() (all []Watched) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.watched {
		all = append(all, *w)
	}
	return all
}

// Cut cuts all connections that are watched, and returns their number.
func (n *Network) Cut() int {
	all := n.Watched()
	for _, w := range all {
		w.cut()
	}
	return len(all)
}

// Lookup implements wasi.Network. Without OnLookup, only addresses have addresses.
func (n *Network) Lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	if n.OnLookup != nil {
		return n.OnLookup(ctx, name)
	}
	a, err := netip.ParseAddr(name)
	if err != nil {
		return nil, wasi.ErrNotExist
	}
	return []netip.Addr{a}, nil
}

// Name implements wasi.Network.
func (n *Network) Name(string, uint16) error { return nil }
