package p2

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// udpSocket is the resource udp-socket of wasi:sockets. Its streams and pollables keep the socket
// open.
type udpSocket struct {
	host  *Host
	of    *descriptor.Descriptor
	udp   *wasi.UDP
	step  step
	times int // how often stream was called
}

// CreateUDPSocket implements bindings.UDPCreateSocketHost.
func (n network) CreateUDPSocket(_ context.Context, family bindings.IPAddressFamily) (bindings.UDPSocket, error) {
	u, err := n.host.guest.NewUDP(family == bindings.IPAddressFamilyIPv6)
	if err != nil {
		return nil, madeError(err)
	}
	return &udpSocket{host: n.host, of: n.host.set.Keep(u), udp: u}, nil
}

// Drop implements typed.Resource.
func (s *udpSocket) Drop() { s.host.done(s.of) }

// StartBind implements bindings.UDPSocket.
func (s *udpSocket) StartBind(_ context.Context, _ bindings.Network, local bindings.IPSocketAddress) error {
	return s.step.begin(binding, func() error { return s.udp.Bind(addressOf(local)) })
}

// FinishBind implements bindings.UDPSocket.
func (s *udpSocket) FinishBind(context.Context) error { return s.step.finish(binding) }

// Stream implements bindings.UDPSocket. Streams of an earlier call do not work any more.
func (s *udpSocket) Stream(_ context.Context, remote typed.Option[bindings.IPSocketAddress]) (both typed.Tuple2[bindings.IncomingDatagramStream, bindings.OutgoingDatagramStream], err error) {
	h := s.host
	switch {
	case s.step != noStep || !s.udp.Bound():
		return both, bindings.NetworkErrorCodeInvalidState
	case h.held[streams]+2 > bounds[streams].most:
		return both, bindings.NetworkErrorCodeOutOfMemory
	}
	if remote.Is {
		err = s.udp.Connect(addressOf(remote.Value))
	} else if _, none := s.udp.Remote(); none == nil {
		err = s.udp.Disconnect()
	}
	if err != nil {
		return both, networkError(err)
	}
	s.times++
	h.held[streams] += 2
	both.A = &incomingDatagrams{datagrams{of: use(s.of), socket: s, time: s.times}}
	both.B = &outgoingDatagrams{datagrams: datagrams{of: use(s.of), socket: s, time: s.times}}
	return both, nil
}

// LocalAddress implements bindings.UDPSocket.
func (s *udpSocket) LocalAddress(context.Context) (bindings.IPSocketAddress, error) {
	if s.step == binding {
		return bindings.IPSocketAddress{}, bindings.NetworkErrorCodeInvalidState
	}
	return shownAddress(s.udp.Local())
}

// RemoteAddress implements bindings.UDPSocket.
func (s *udpSocket) RemoteAddress(context.Context) (bindings.IPSocketAddress, error) {
	return shownAddress(s.udp.Remote())
}

// AddressFamily implements bindings.UDPSocket.
func (s *udpSocket) AddressFamily(context.Context) (bindings.IPAddressFamily, error) {
	return family(s.udp.IPv6()), nil
}

// Subscribe implements bindings.UDPSocket. Nothing of the socket itself waits.
func (s *udpSocket) Subscribe(context.Context) (bindings.Pollable, error) {
	return s.host.pollable(pollable{})
}

// datagrams is what both streams of a socket share.
type datagrams struct {
	of     *descriptor.Descriptor
	socket *udpSocket
	time   int // the call of stream that made it
}

// Drop implements typed.Resource.
func (d *datagrams) Drop() {
	d.socket.host.done(d.of)
	d.socket.host.give(streams)
}

// check returns an error if the stream does not work any more.
func (d *datagrams) check() error {
	if d.time != d.socket.times {
		return bindings.NetworkErrorCodeInvalidState
	}
	return nil
}

// incomingDatagrams is the resource incoming-datagram-stream of wasi:sockets.
type incomingDatagrams struct{ datagrams }

// Receive implements bindings.IncomingDatagramStream.
func (s *incomingDatagrams) Receive(ctx context.Context, most uint64) (all []bindings.IncomingDatagram, err error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	g, size := s.socket.host.guest, 0
	for len(all) < int(min(most, maxDatagrams)) && size < maxDatagramBytes {
		b := g.Scratch(wasi.MaxDatagram)
		d, err := s.socket.udp.Receive(ctx, g.One(b), wasi.DontWait)
		switch reason := wasi.ErrorOf(err); {
		case err == nil:
		case reason == 0:
			return nil, wasi.ErrKilled
		case len(all) > 0 || reason == wasi.ErrWouldBlock: // the next call gets another error
			return all, nil
		default:
			return nil, networkError(err)
		}
		size += d.Size
		all = append(all, bindings.IncomingDatagram{Data: slices.Clone(b[:d.Size]), RemoteAddress: socketAddress(d.From)})
	}
	return all, nil
}

// Subscribe implements bindings.IncomingDatagramStream.
func (s *incomingDatagrams) Subscribe(context.Context) (bindings.Pollable, error) {
	return s.socket.host.pollable(pollable{object: s.socket.udp, of: s.of})
}

// outgoingDatagrams is the resource outgoing-datagram-stream of wasi:sockets.
type outgoingDatagrams struct {
	datagrams
	permit int // how many datagrams the guest may still send
}

var errNoSendPermit = errors.New("the guest sends more datagrams than check-send permitted")

// CheckSend implements bindings.OutgoingDatagramStream.
func (s *outgoingDatagrams) CheckSend(ctx context.Context) (uint64, error) {
	if err := s.check(); err != nil {
		return 0, err
	}
	p := pollable{host: s.socket.host, object: s.socket.udp, write: true}
	ready, err := p.Ready(ctx)
	if err != nil {
		return 0, err
	}
	s.permit = 0
	if ready {
		s.permit = maxDatagrams
	}
	return uint64(s.permit), nil
}

// Send implements bindings.OutgoingDatagramStream.
func (s *outgoingDatagrams) Send(ctx context.Context, list []bindings.OutgoingDatagram) (sent uint64, err error) {
	if len(list) > s.permit {
		return 0, errNoSendPermit
	}
	if err := s.check(); err != nil {
		return 0, err
	}
	s.permit -= len(list)
	g := s.socket.host.guest
	defer g.One(nil) // the datagrams are the guest's memory, which may be freed
	for _, d := range list {
		var to netip.AddrPort
		if d.RemoteAddress.Is {
			to = addressOf(d.RemoteAddress.Value)
		}
		_, err := s.socket.udp.Send(ctx, g.One(d.Data), to, true)
		switch reason := wasi.ErrorOf(err); {
		case err == nil:
			sent++
			continue
		case reason == 0:
			return 0, wasi.ErrKilled
		case sent > 0 || reason == wasi.ErrWouldBlock:
			return sent, nil
		case reason == wasi.ErrAlreadyConnected: // to another than the stream's
			return 0, bindings.NetworkErrorCodeInvalidArgument
		}
		return 0, networkError(err)
	}
	return sent, nil
}

// Subscribe implements bindings.OutgoingDatagramStream.
func (s *outgoingDatagrams) Subscribe(context.Context) (bindings.Pollable, error) {
	return s.socket.host.pollable(pollable{object: s.socket.udp, write: true, of: s.of})
}
