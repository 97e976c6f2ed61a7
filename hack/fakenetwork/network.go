// Package fakenetwork has a wasi.Network for tests of what asks one. It allows the loopback
// addresses only, knows the names that a test gives it, and does what the test says besides.
package fakenetwork

import (
	"context"
	"net/netip"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Network is the network of a test. Its fields may not change while it is used.
type Network struct {
	// Hosts are the names that can be looked up.
	Hosts map[string][]netip.Addr
	// Denied are names and addresses that the guest may not connect to.
	Denied map[string]bool
	// Failed are errors of lookups.
	Failed map[string]error
	// Hang are names whose lookup lasts until its context ends.
	Hang map[string]bool
	// From is where connections come from, if it is valid.
	From netip.Addr
	// To are addresses that lead elsewhere, as those of Services do.
	To map[netip.AddrPort]netip.AddrPort

	mu    sync.Mutex
	asked []string
	cuts  map[int]func()
	next  int
}

// Asked are the names and addresses that were asked for, in order.
func (n *Network) Asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.asked...)
}

// Watched is how many connections are watched.
func (n *Network) Watched() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.cuts)
}

// Cut cuts all connections.
func (n *Network) Cut() {
	n.mu.Lock()
	cuts := n.cuts
	n.cuts = nil
	n.mu.Unlock()
	for _, cut := range cuts {
		cut()
	}
}

func (n *Network) ask(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, what)
}

// Bind implements wasi.Network.
func (n *Network) Bind(_ runtime.Protocol, address netip.AddrPort, _ bool) (netip.AddrPort, error) {
	return address, nil
}

// Connect implements wasi.Network.
func (n *Network) Connect(_ runtime.Protocol, to netip.AddrPort) (wasi.Route, error) {
	n.ask("connect " + to.String())
	if n.Denied[to.Addr().String()] {
		return wasi.Route{}, wasi.ErrAccess
	}
	if other, ok := n.To[to]; ok {
		to = other
	}
	if !to.Addr().IsLoopback() {
		return wasi.Route{}, wasi.ErrAccess
	}
	return wasi.Route{From: n.From, To: to}, nil
}

// Accept implements wasi.Network.
func (n *Network) Accept(runtime.Protocol, netip.AddrPort, netip.AddrPort) error { return nil }

// Unbind implements wasi.Network.
func (n *Network) Unbind(runtime.Protocol, netip.AddrPort) {}

// Shown implements wasi.Network.
func (n *Network) Shown(local netip.AddrPort) netip.AddrPort { return local }

// Watch implements wasi.Network.
func (n *Network) Watch(_ runtime.Protocol, _, _ netip.AddrPort, _ bool, cut func()) (stop func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := n.next
	n.next++
	if n.cuts == nil {
		n.cuts = map[int]func(){}
	}
	n.cuts[id] = cut
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.cuts, id)
	}
}

// Lookup implements wasi.Network.
func (n *Network) Lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	n.ask("lookup " + name)
	if n.Hang[name] {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := n.Failed[name]; err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a}, nil
	}
	all := n.Hosts[name]
	if len(all) == 0 {
		return nil, wasi.ErrNotExist
	}
	return all, nil
}

// Name implements wasi.Network.
func (n *Network) Name(name string, _ uint16) error {
	n.ask("name " + name)
	if n.Denied[name] {
		return wasi.ErrAccess
	}
	return nil
}

// Own implements wasi.Network.
func (n *Network) Own(address netip.Addr) bool { return address.IsLoopback() }
