package wasi

import (
	"context"
	"net/netip"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Network decides what a guest may do in the network, and finds the way to where it connects. The
// guest sees addresses that may differ from those of the host: its loopback address may be that of
// its pod, and the address of a Service stands for one of its endpoints. Each method says whose
// addresses it takes. All may be called by any goroutine, and none but Lookup waits.
//
// A refusal is an Error: ErrAccess if it is not allowed, ErrConnectionRefused if a Service has no
// endpoint, ErrAddressNotAvailable if a guest cannot have an address. The Network itself counts
// and tells what it refuses.
type Network interface {
	// Bind returns the host's address to bind a socket to, for the guest's. 0.0.0.0 and :: mean
	// all addresses that the guest may have of that family. listen says that the socket is to
	// accept connections; a socket that only sends gets a port of its own with port 0.
	Bind(p runtime.Protocol, address netip.AddrPort, listen bool) (netip.AddrPort, error)
	// Unbind reverts a Bind that was to listen at a port of the guest's loopback: the socket could not
	// be bound to the host's address, or is about to be closed.
	Unbind(p runtime.Protocol, local netip.AddrPort)
	// Connect decides on a connection or a datagram to the guest's address, and returns where it
	// goes. Each call may choose another endpoint of a Service.
	Connect(p runtime.Protocol, to netip.AddrPort) (Route, error)
	// Accept decides on a connection or a datagram that came to the host's address local.
	Accept(p runtime.Protocol, local, from netip.AddrPort) error
	// Shown is the guest's address of a socket that is bound to the host's.
	Shown(local netip.AddrPort) netip.AddrPort
	// Own reports whether the host's address belongs to the guest's pod alone. The machine may have
	// such an address only by a route, and sockets bind to it all the same.
	Own(address netip.Addr) bool
	// Watch has cut called, once, by another goroutine, when the connection is not allowed any
	// more. Both addresses are the host's; outgoing says that the guest has connected. cut must not
	// wait. stop ends the watch; it does not wait for a cut that runs.
	Watch(p runtime.Protocol, local, remote netip.AddrPort, outgoing bool, cut func()) (stop func())
	// Lookup returns the addresses of a name, or of an address as text. It asks servers only for
	// names that the guest may connect to. The error may be ErrAccess, ErrNotExist (there is no such
	// name, or it has no address), ErrWouldBlock (no server has answered; later one may), ErrInvalid
	// (it is no name), ErrNoBuffers (too many lookups are under way), ErrIO (servers fail), or that
	// of ctx.
	Lookup(ctx context.Context, name string) ([]netip.Addr, error)
	// Name decides on a connection to a host name before the name is looked up. Connect decides on
	// the address after that.
	Name(name string, port uint16) error
}

// Route is the way of a connection or datagram.
type Route struct {
	From netip.Addr     // the host's address to send from; the zero Addr leaves it to the kernel
	To   netip.AddrPort // the host's address to send to
}
