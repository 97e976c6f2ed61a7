package p3

import (
	"context"
	"net/netip"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// network has the functions of wasi:sockets. What they may do, is the wasi.Network's to decide.
type network struct{ host *Host }

// socketCodes translates the host's errors. The others have their text.
var socketCodes = map[wasi.Error]bindings.SocketsErrorCodeCase{
	wasi.ErrAccess:              bindings.SocketsErrorCodeAccessDenied,
	wasi.ErrAddressInUse:        bindings.SocketsErrorCodeAddressInUse,
	wasi.ErrAddressNotAvailable: bindings.SocketsErrorCodeAddressNotBindable,
	wasi.ErrAlreadyConnected:    bindings.SocketsErrorCodeInvalidState,
	wasi.ErrConnectionAborted:   bindings.SocketsErrorCodeConnectionAborted,
	wasi.ErrConnectionRefused:   bindings.SocketsErrorCodeConnectionRefused,
	wasi.ErrConnectionReset:     bindings.SocketsErrorCodeConnectionReset,
	wasi.ErrFamily:              bindings.SocketsErrorCodeInvalidArgument,
	wasi.ErrHostUnreachable:     bindings.SocketsErrorCodeRemoteUnreachable,
	wasi.ErrInProgress:          bindings.SocketsErrorCodeInvalidState,
	wasi.ErrInvalid:             bindings.SocketsErrorCodeInvalidArgument,
	wasi.ErrMessageSize:         bindings.SocketsErrorCodeDatagramTooLarge,
	wasi.ErrNetworkDown:         bindings.SocketsErrorCodeRemoteUnreachable,
	wasi.ErrNetworkReset:        bindings.SocketsErrorCodeRemoteUnreachable,
	wasi.ErrNetworkUnreachable:  bindings.SocketsErrorCodeRemoteUnreachable,
	wasi.ErrNoBuffers:           bindings.SocketsErrorCodeOutOfMemory,
	wasi.ErrNoDestination:       bindings.SocketsErrorCodeInvalidArgument,
	wasi.ErrNoMemory:            bindings.SocketsErrorCodeOutOfMemory,
	wasi.ErrNotConnected:        bindings.SocketsErrorCodeInvalidState,
	wasi.ErrNotPermitted:        bindings.SocketsErrorCodeAccessDenied,
	wasi.ErrNotSupported:        bindings.SocketsErrorCodeNotSupported,
	wasi.ErrPipe:                bindings.SocketsErrorCodeConnectionBroken,
	wasi.ErrState:               bindings.SocketsErrorCodeInvalidState,
	wasi.ErrTimeout:             bindings.SocketsErrorCodeTimeout,
}

// socketCode is the code of an error of the host. An error that ends the guest unwinds it.
func socketCode(err error) bindings.SocketsErrorCode {
	reason := wasi.ErrorOf(err)
	if reason == 0 {
		typed.End(wasi.ErrKilled)
	}
	if code, ok := socketCodes[reason]; ok {
		return bindings.SocketsErrorCode{Case: code}
	}
	return bindings.SocketsErrorCode{Case: bindings.SocketsErrorCodeOther, Other: typed.Some(reason.Error())}
}

// socketError is an error of the host as a function of wasi:sockets returns it.
func socketError(err error) error {
	if err == nil {
		return nil
	}
	return socketCode(err)
}

// madeError is the error of a socket that could not be made.
func madeError(err error) error {
	if wasi.ErrorOf(err) == wasi.ErrFamily { // the machine does not have it
		return bindings.SocketsErrorCode{Case: bindings.SocketsErrorCodeNotSupported}
	}
	return socketError(err)
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
		return bindings.IPSocketAddress{}, socketError(err)
	}
	return socketAddress(a), nil
}

// maxName is how many bytes a name of DNS has at most.
const maxName = 253

// ResolveAddresses implements bindings.IPNameLookupHost.
func (n network) ResolveAddresses(ctx context.Context, async typed.Async[[]bindings.IPAddress], name string) ([]bindings.IPAddress, error) {
	if short := strings.TrimSuffix(name, "."); short == "" || len(short) > maxName {
		return nil, bindings.IPNameLookupErrorCode{Case: bindings.IPNameLookupErrorCodeInvalidArgument}
	}
	l, err := n.host.guest.LookUp(ctx, name)
	if err != nil {
		return nil, lookupError(err)
	}
	over := false
	var done func([]bindings.IPAddress, error)
	done = async.Later(func() {
		if over {
			return
		}
		over = true
		l.Close()
		done(nil, typed.ErrCancelled)
	})
	x := n.host.x
	l.Notify(func() {
		x.Post(func() {
			if over {
				return
			}
			over = true
			found, err := l.Result()
			l.Close()
			done(addresses(found), lookupError(err))
		})
	})
	return nil, typed.ErrLater
}

func addresses(found []netip.Addr) []bindings.IPAddress {
	all := make([]bindings.IPAddress, len(found))
	for i, a := range found {
		all[i] = ipAddress(a)
	}
	return all
}

// lookupError is the error of a lookup.
func lookupError(err error) error {
	if err == nil {
		return nil
	}
	code := bindings.IPNameLookupErrorCodePermanentResolverFailure
	switch wasi.ErrorOf(err) {
	case 0:
		typed.End(wasi.ErrKilled)
	case wasi.ErrAccess:
		code = bindings.IPNameLookupErrorCodeAccessDenied
	case wasi.ErrInvalid:
		code = bindings.IPNameLookupErrorCodeInvalidArgument
	case wasi.ErrNotExist:
		code = bindings.IPNameLookupErrorCodeNameUnresolvable
	case wasi.ErrWouldBlock, wasi.ErrNoBuffers:
		code = bindings.IPNameLookupErrorCodeTemporaryResolverFailure
	}
	return bindings.IPNameLookupErrorCode{Case: code}
}
