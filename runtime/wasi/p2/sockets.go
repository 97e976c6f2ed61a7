package p2

import (
	"context"
	"net/netip"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// network has the functions of wasi:sockets. It is also the resource network: there is one, and
// what it allows is the wasi.Network's to decide.
type network struct{ host *Host }

// InstanceNetwork implements bindings.InstanceNetworkHost.
func (n network) InstanceNetwork(context.Context) (bindings.Network, error) {
	if err := n.host.take(networks); err != nil {
		return nil, err
	}
	return n, nil
}

// Drop implements typed.Resource.
func (n network) Drop() { n.host.give(networks) }

// networkErrors has the functions of wasi:sockets/network.
type networkErrors struct{}

// NetworkErrorCode implements bindings.NetworkHost.
func (networkErrors) NetworkErrorCode(_ context.Context, err bindings.Error) (code typed.Option[bindings.NetworkErrorCode], _ error) {
	if f, ok := err.(*failure); ok && f.of == ofSocket {
		code = typed.Some(networkCode(f.reason))
	}
	return code, nil
}

// networkCodes translates the host's errors. The others are unknown.
var networkCodes = map[wasi.Error]bindings.NetworkErrorCode{
	wasi.ErrAccess:              bindings.NetworkErrorCodeAccessDenied,
	wasi.ErrAddressInUse:        bindings.NetworkErrorCodeAddressInUse,
	wasi.ErrAddressNotAvailable: bindings.NetworkErrorCodeAddressNotBindable,
	wasi.ErrAlreadyConnected:    bindings.NetworkErrorCodeInvalidState,
	wasi.ErrConnectionAborted:   bindings.NetworkErrorCodeConnectionAborted,
	wasi.ErrConnectionRefused:   bindings.NetworkErrorCodeConnectionRefused,
	wasi.ErrConnectionReset:     bindings.NetworkErrorCodeConnectionReset,
	wasi.ErrFamily:              bindings.NetworkErrorCodeInvalidArgument,
	wasi.ErrHostUnreachable:     bindings.NetworkErrorCodeRemoteUnreachable,
	wasi.ErrInProgress:          bindings.NetworkErrorCodeConcurrencyConflict,
	wasi.ErrInvalid:             bindings.NetworkErrorCodeInvalidArgument,
	wasi.ErrMessageSize:         bindings.NetworkErrorCodeDatagramTooLarge,
	wasi.ErrNetworkDown:         bindings.NetworkErrorCodeRemoteUnreachable,
	wasi.ErrNetworkReset:        bindings.NetworkErrorCodeRemoteUnreachable,
	wasi.ErrNetworkUnreachable:  bindings.NetworkErrorCodeRemoteUnreachable,
	wasi.ErrNoBuffers:           bindings.NetworkErrorCodeOutOfMemory,
	wasi.ErrNoDestination:       bindings.NetworkErrorCodeInvalidArgument,
	wasi.ErrNoFiles:             bindings.NetworkErrorCodeNewSocketLimit,
	wasi.ErrNoMemory:            bindings.NetworkErrorCodeOutOfMemory,
	wasi.ErrNotConnected:        bindings.NetworkErrorCodeInvalidState,
	wasi.ErrNotPermitted:        bindings.NetworkErrorCodeAccessDenied,
	wasi.ErrNotSupported:        bindings.NetworkErrorCodeNotSupported,
	wasi.ErrPipe:                bindings.NetworkErrorCodeConnectionAborted,
	wasi.ErrState:               bindings.NetworkErrorCodeInvalidState,
	wasi.ErrTimeout:             bindings.NetworkErrorCodeTimeout,
	wasi.ErrTooManyOpen:         bindings.NetworkErrorCodeNewSocketLimit,
	wasi.ErrWouldBlock:          bindings.NetworkErrorCodeWouldBlock,
}

func networkCode(e wasi.Error) bindings.NetworkErrorCode { return networkCodes[e] }

// networkError is an error of the host as a function of wasi:sockets returns it: a code, or what
// ends the guest.
func networkError(err error) error {
	if err == nil {
		return nil
	}
	reason := wasi.ErrorOf(err)
	if reason == 0 {
		return wasi.ErrKilled
	}
	return networkCode(reason)
}

// madeError is the error of a socket that could not be made.
func madeError(err error) error {
	if wasi.ErrorOf(err) == wasi.ErrFamily { // the machine does not have it
		return bindings.NetworkErrorCodeNotSupported
	}
	return networkError(err)
}

// addressOf is an address from the guest. What IPv6 has besides has no meaning here: zones are
// numbers of the host's interfaces.
func addressOf(a bindings.IPSocketAddress) netip.AddrPort {
	if a.Case == bindings.IPSocketAddressIPv4 {
		return netip.AddrPortFrom(netip.AddrFrom4(a.IPv4.Address), a.IPv4.Port)
	}
	var b [16]byte
	for i, part := range a.IPv6.Address {
		b[2*i], b[2*i+1] = byte(part>>8), byte(part)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(b), a.IPv6.Port)
}

// ipAddress is an address for the guest.
func ipAddress(a netip.Addr) (to bindings.IPAddress) {
	if a.Is4() {
		return bindings.IPAddress{Case: bindings.IPAddressIPv4, IPv4: a.As4()}
	}
	to.Case = bindings.IPAddressIPv6
	b := a.As16()
	for i := range to.IPv6 {
		to.IPv6[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	return to
}

// socketAddress is an address with its port for the guest.
func socketAddress(a netip.AddrPort) bindings.IPSocketAddress {
	ip := ipAddress(a.Addr())
	return bindings.IPSocketAddress{
		Case: bindings.IPSocketAddressCase(ip.Case),
		IPv4: bindings.IPv4SocketAddress{Port: a.Port(), Address: ip.IPv4},
		IPv6: bindings.IPv6SocketAddress{Port: a.Port(), Address: ip.IPv6},
	}
}

func family(ipv6 bool) bindings.IPAddressFamily {
	if ipv6 {
		return bindings.IPAddressFamilyIPv6
	}
	return bindings.IPAddressFamilyIPv4
}

// shownAddress is the result of a function for an address.
func shownAddress(a netip.AddrPort, err error) (bindings.IPSocketAddress, error) {
	if err != nil {
		return bindings.IPSocketAddress{}, networkError(err)
	}
	return socketAddress(a), nil
}

// maxName is how many bytes a name of DNS has at most.
const maxName = 253

// ResolveAddresses implements bindings.IPNameLookupHost.
func (n network) ResolveAddresses(ctx context.Context, _ bindings.Network, name string) (bindings.ResolveAddressStream, error) {
	if short := strings.TrimSuffix(name, "."); short == "" || len(short) > maxName {
		return nil, bindings.NetworkErrorCodeInvalidArgument
	}
	l, err := n.host.guest.LookUp(ctx, name)
	if err != nil {
		return nil, networkError(err)
	}
	return &resolveAddressStream{host: n.host, of: l}, nil
}

// resolveAddressStream is the resource resolve-address-stream of wasi:sockets. Package wasi bounds
// their number.
type resolveAddressStream struct {
	host *Host
	of   *wasi.Lookup
	next int
}

// Drop implements typed.Resource.
func (s *resolveAddressStream) Drop() { s.of.Close() }

// ResolveNextAddress implements bindings.ResolveAddressStream.
func (s *resolveAddressStream) ResolveNextAddress(context.Context) (next typed.Option[bindings.IPAddress], err error) {
	if !s.of.Ready() {
		return next, bindings.NetworkErrorCodeWouldBlock
	}
	found, err := s.of.Result()
	switch {
	case err != nil:
		return next, lookupError(err)
	case s.next == len(found):
		return next, nil
	}
	s.next++
	return typed.Some(ipAddress(found[s.next-1])), nil
}

// Subscribe implements bindings.ResolveAddressStream.
func (s *resolveAddressStream) Subscribe(context.Context) (bindings.Pollable, error) {
	return s.host.pollable(pollable{signal: s.of})
}

// lookupError is the error of a lookup that has ended.
func lookupError(err error) error {
	switch wasi.ErrorOf(err) {
	case 0:
		return wasi.ErrKilled
	case wasi.ErrAccess:
		return bindings.NetworkErrorCodeAccessDenied
	case wasi.ErrInvalid:
		return bindings.NetworkErrorCodeInvalidArgument
	case wasi.ErrNotExist:
		return bindings.NetworkErrorCodeNameUnresolvable
	case wasi.ErrWouldBlock, wasi.ErrNoBuffers:
		return bindings.NetworkErrorCodeTemporaryResolverFailure
	}
	return bindings.NetworkErrorCodePermanentResolverFailure
}
