package p3

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// network has the functions of wasi:sockets, without a network: a guest can make no socket and look
// up no name.
type network struct{}

// ResolveAddresses implements bindings.IPNameLookupHost.
func (network) ResolveAddresses(context.Context, typed.Async[[]bindings.IPAddress], string) ([]bindings.IPAddress, error) {
	return nil, bindings.IPNameLookupErrorCode{Case: bindings.IPNameLookupErrorCodeAccessDenied}
}

var errDenied error = bindings.SocketsErrorCode{Case: bindings.SocketsErrorCodeAccessDenied}

// TCPSocketCreate implements bindings.SocketsHost.
func (network) TCPSocketCreate(context.Context, bindings.IPAddressFamily) (bindings.TCPSocket, error) {
	return nil, errDenied
}

// UDPSocketCreate implements bindings.SocketsHost.
func (network) UDPSocketCreate(context.Context, bindings.IPAddressFamily) (bindings.UDPSocket, error) {
	return nil, errDenied
}
