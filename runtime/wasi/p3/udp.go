package p3

import (
	"context"
	"net/netip"
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// udpSocket is the resource udp-socket of wasi:sockets. Its calls keep the socket open.
type udpSocket struct {
	host           *Host
	of             *descriptor.Descriptor
	udp            *wasi.UDP
	sends, arrives waits // calls that wait to send, and to receive
}

type received = typed.Tuple2[[]byte, bindings.IPSocketAddress]

// UDPSocketCreate implements bindings.SocketsHost.
func (n network) UDPSocketCreate(_ context.Context, family bindings.IPAddressFamily) (bindings.UDPSocket, error) {
	h := n.host
	u, err := h.guest.NewUDP(family == bindings.IPAddressFamilyIPv6)
	if err != nil {
		return nil, madeError(err)
	}
	s := &udpSocket{host: h, of: h.set.Keep(u), udp: u}
	s.sends = waits{host: h, of: s.of, socket: u, write: true}
	s.arrives = waits{host: h, of: s.of, socket: u}
	return s, nil
}

// Drop implements typed.Resource. What goes wrong in closing, no function of WASI 0.3 tells.
func (s *udpSocket) Drop() { _ = s.of.Done(s.host.ctx) }

// Bind implements bindings.UDPSocket.
func (s *udpSocket) Bind(_ context.Context, local bindings.IPSocketAddress) error {
	return socketError(s.udp.Bind(addressOf(local)))
}

// Connect implements bindings.UDPSocket.
func (s *udpSocket) Connect(_ context.Context, remote bindings.IPSocketAddress) error {
	return socketError(s.udp.Connect(addressOf(remote)))
}

// Disconnect implements bindings.UDPSocket.
func (s *udpSocket) Disconnect(context.Context) error { return socketError(s.udp.Disconnect()) }

// Send implements bindings.UDPSocket.
func (s *udpSocket) Send(_ context.Context, async typed.Async[none], data []byte, remote typed.Option[bindings.IPSocketAddress]) error {
	var to netip.AddrPort
	if remote.Is {
		to = addressOf(remote.Value)
	}
	if s.sends.calls.Len() == 0 {
		err := s.send(data, to)
		s.host.guest.One(nil) // data is the guest's memory, which may be freed
		if !isWait(err) {
			return sendError(err)
		}
	}
	if s.host.unsent+len(data) > maxUnsent || len(data) > wasi.MaxDatagram {
		return sendError(wasi.ErrNoBuffers)
	}
	data = slices.Clone(data)
	s.host.unsent += len(data)
	return later(&s.sends, async, func() (none, error) { return none{}, s.send(data, to) }, sendError, func(bool) {
		s.host.unsent -= len(data)
	})
}

func (s *udpSocket) send(data []byte, to netip.AddrPort) error {
	_, err := s.udp.Send(s.host.ctx, s.host.guest.One(data), to, true)
	return err
}

// sendError is socketError for a datagram. One to another than the socket's peer has a wrong
// argument.
func sendError(err error) error {
	if err != nil && wasi.ErrorOf(err) == wasi.ErrAlreadyConnected {
		err = wasi.ErrInvalid
	}
	return socketError(err)
}

// Receive implements bindings.UDPSocket.
func (s *udpSocket) Receive(_ context.Context, async typed.Async[received]) (received, error) {
	if s.arrives.calls.Len() == 0 {
		r, err := s.receive()
		if !isWait(err) {
			return r, socketError(err)
		}
	}
	return received{}, later(&s.arrives, async, func() (received, error) {
		r, err := s.receive()
		r.A = slices.Clone(r.A) // the guest takes it later
		return r, err
	}, socketError, func(bool) {})
}

// receive receives a datagram. Its bytes hold until others use that memory.
func (s *udpSocket) receive() (r received, err error) {
	g := s.host.guest
	b := g.Scratch(wasi.MaxDatagram)
	d, err := s.udp.Receive(s.host.ctx, g.One(b), wasi.DontWait)
	if err != nil {
		return r, err
	}
	return received{A: b[:d.Size], B: socketAddress(d.From)}, nil
}

// GetLocalAddress implements bindings.UDPSocket.
func (s *udpSocket) GetLocalAddress(context.Context) (bindings.IPSocketAddress, error) {
	return shownAddress(s.udp.Local())
}

// GetRemoteAddress implements bindings.UDPSocket.
func (s *udpSocket) GetRemoteAddress(context.Context) (bindings.IPSocketAddress, error) {
	return shownAddress(s.udp.Remote())
}

// GetAddressFamily implements bindings.UDPSocket.
func (s *udpSocket) GetAddressFamily(context.Context) (bindings.IPAddressFamily, error) {
	return family(s.udp.IPv6()), nil
}
