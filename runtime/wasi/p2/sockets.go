package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// network has the functions of wasi:sockets, without a network: a guest can make no socket and look
// up no name. The errors are those of wasmtime for a guest that may use no network.
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

// NetworkErrorCode implements bindings.NetworkHost. No stream is that of a socket.
func (network) NetworkErrorCode(context.Context, bindings.Error) (none typed.Option[bindings.NetworkErrorCode], err error) {
	return none, nil
}

// ResolveAddresses implements bindings.IPNameLookupHost.
func (network) ResolveAddresses(context.Context, bindings.Network, string) (bindings.ResolveAddressStream, error) {
	return nil, bindings.NetworkErrorCodePermanentResolverFailure
}

// CreateTCPSocket implements bindings.TCPCreateSocketHost.
func (network) CreateTCPSocket(context.Context, bindings.IPAddressFamily) (bindings.TCPSocket, error) {
	return nil, bindings.NetworkErrorCodeAccessDenied
}

// CreateUDPSocket implements bindings.UDPCreateSocketHost.
func (network) CreateUDPSocket(context.Context, bindings.IPAddressFamily) (bindings.UDPSocket, error) {
	return nil, bindings.NetworkErrorCodeAccessDenied
}
