package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// tcpSocket is the resource tcp-socket of wasi:sockets. Its streams and pollables keep the socket
// open.
type tcpSocket struct {
	host *Host
	of   *descriptor.Descriptor
	tcp  *wasi.TCP
	step step
}

// step is an operation of a socket that was started and not finished. All but connecting is done
// when it starts.
type step uint8

const (
	noStep step = iota
	binding
	startingToListen
	connecting
)

// begin begins a step, which do does.
func (s *step) begin(next step, do func() error) error {
	if *s != noStep {
		return bindings.NetworkErrorCodeConcurrencyConflict
	}
	err := do()
	if err == nil {
		*s = next
	}
	return networkError(err)
}

// finish ends a step that was done when it began.
func (s *step) finish(of step) error {
	if *s != of {
		return bindings.NetworkErrorCodeNotInProgress
	}
	*s = noStep
	return nil
}

// CreateTCPSocket implements bindings.TCPCreateSocketHost.
func (n network) CreateTCPSocket(_ context.Context, family bindings.IPAddressFamily) (bindings.TCPSocket, error) {
	t, err := n.host.guest.NewTCP(family == bindings.IPAddressFamilyIPv6)
	if err != nil {
		return nil, madeError(err)
	}
	return n.host.tcpSocket(t), nil
}

func (h *Host) tcpSocket(t *wasi.TCP) *tcpSocket {
	return &tcpSocket{host: h, of: h.set.Keep(t), tcp: t}
}

// Drop implements typed.Resource.
func (s *tcpSocket) Drop() { s.host.done(s.of) }

// StartBind implements bindings.TCPSocket.
func (s *tcpSocket) StartBind(_ context.Context, _ bindings.Network, local bindings.IPSocketAddress) error {
	return s.step.begin(binding, func() error { return s.tcp.Bind(addressOf(local)) })
}

// FinishBind implements bindings.TCPSocket.
func (s *tcpSocket) FinishBind(context.Context) error { return s.step.finish(binding) }

// StartListen implements bindings.TCPSocket.
func (s *tcpSocket) StartListen(context.Context) error {
	return s.step.begin(startingToListen, func() error {
		if s.tcp.State() == wasi.Unbound { // WASI 0.2 wants it to be bound
			return wasi.ErrState
		}
		return s.tcp.Listen()
	})
}

// FinishListen implements bindings.TCPSocket.
func (s *tcpSocket) FinishListen(context.Context) error { return s.step.finish(startingToListen) }

// StartConnect implements bindings.TCPSocket.
func (s *tcpSocket) StartConnect(_ context.Context, _ bindings.Network, remote bindings.IPSocketAddress) error {
	return s.step.begin(connecting, func() error { return s.tcp.StartConnect(addressOf(remote)) })
}

// FinishConnect implements bindings.TCPSocket.
func (s *tcpSocket) FinishConnect(context.Context) (both typed.Tuple2[bindings.InputStream, bindings.OutputStream], err error) {
	if s.step != connecting {
		return both, bindings.NetworkErrorCodeNotInProgress
	}
	err = s.tcp.FinishConnect()
	if wasi.ErrorOf(err) == wasi.ErrWouldBlock {
		return both, bindings.NetworkErrorCodeWouldBlock
	}
	s.step = noStep
	if err != nil {
		return both, networkError(err)
	}
	in, out, err := s.streams()
	if err != nil {
		return both, err
	}
	return typed.Tuple2[bindings.InputStream, bindings.OutputStream]{A: in, B: out}, nil
}

// streams are the streams of a connection.
func (s *tcpSocket) streams() (in *inputStream, out *outputStream, err error) {
	h := s.host
	if h.held[streams]+2 > bounds[streams].most {
		return nil, nil, bindings.NetworkErrorCodeOutOfMemory
	}
	h.held[streams] += 2
	return &inputStream{host: h, of: use(s.of), tcp: s.tcp}, &outputStream{host: h, of: use(s.of), tcp: s.tcp}, nil
}

// Accept implements bindings.TCPSocket.
func (s *tcpSocket) Accept(ctx context.Context) (all typed.Tuple3[bindings.TCPSocket, bindings.InputStream, bindings.OutputStream], err error) {
	if s.step != noStep {
		return all, bindings.NetworkErrorCodeInvalidState
	}
	t, err := s.tcp.Accept(ctx, true)
	if err != nil {
		return all, networkError(err)
	}
	c := s.host.tcpSocket(t)
	in, out, err := c.streams()
	if err != nil {
		c.Drop()
		return all, err
	}
	return typed.Tuple3[bindings.TCPSocket, bindings.InputStream, bindings.OutputStream]{A: c, B: in, C: out}, nil
}

// LocalAddress implements bindings.TCPSocket.
func (s *tcpSocket) LocalAddress(context.Context) (bindings.IPSocketAddress, error) {
	if s.step == binding {
		return bindings.IPSocketAddress{}, bindings.NetworkErrorCodeInvalidState
	}
	return shownAddress(s.tcp.Local())
}

// RemoteAddress implements bindings.TCPSocket.
func (s *tcpSocket) RemoteAddress(context.Context) (bindings.IPSocketAddress, error) {
	if s.step != noStep {
		return bindings.IPSocketAddress{}, bindings.NetworkErrorCodeInvalidState
	}
	return shownAddress(s.tcp.Remote())
}

// IsListening implements bindings.TCPSocket.
func (s *tcpSocket) IsListening(context.Context) (bool, error) {
	return s.tcp.State() == wasi.Listening && s.step == noStep, nil
}

// AddressFamily implements bindings.TCPSocket.
func (s *tcpSocket) AddressFamily(context.Context) (bindings.IPAddressFamily, error) {
	return family(s.tcp.IPv6()), nil
}

// SetListenBacklogSize implements bindings.TCPSocket.
func (s *tcpSocket) SetListenBacklogSize(_ context.Context, n uint64) error {
	return networkError(s.tcp.SetBacklog(n))
}

// Subscribe implements bindings.TCPSocket.
func (s *tcpSocket) Subscribe(context.Context) (bindings.Pollable, error) {
	return s.host.pollable(pollable{socket: s, of: s.of})
}

// interest sets what finishes the step that goes on, or what a listening socket waits for.
func (s *tcpSocket) interest(in *wasi.Interest) {
	switch {
	case s.step == connecting:
		in.Object, in.Write = s.tcp, true
	case s.step == noStep && s.tcp.State() == wasi.Listening:
		in.Object = s.tcp
	default:
		in.Ready = true
	}
}

// Shutdown implements bindings.TCPSocket.
func (s *tcpSocket) Shutdown(_ context.Context, what bindings.ShutdownType) error {
	if s.step != noStep || s.tcp.State() != wasi.Connected {
		return bindings.NetworkErrorCodeInvalidState
	}
	how := [...]wasi.Shutdown{
		bindings.ShutdownTypeReceive: wasi.ShutdownReceive, bindings.ShutdownTypeSend: wasi.ShutdownSend,
		bindings.ShutdownTypeBoth: wasi.ShutdownReceive | wasi.ShutdownSend,
	}[what]
	if err := s.tcp.Shutdown(how); wasi.ErrorOf(err) != wasi.ErrNotConnected {
		return networkError(err)
	}
	return nil // the connection has ended, in both directions
}

// receive reads from a connection. What comes after the guest has ended that is lost.
func receive(ctx context.Context, t *wasi.TCP, bufs [][]byte, nonblock bool) (int, error) {
	if t.Shut()&wasi.ShutdownReceive != 0 {
		return 0, nil
	}
	var how wasi.Receive
	if nonblock {
		how = wasi.DontWait
	}
	return t.Receive(ctx, bufs, how)
}

// sendRoom is how many bytes a connection takes.
func sendRoom(t *wasi.TCP) (int, error) {
	if t.Shut()&wasi.ShutdownSend != 0 {
		return 0, wasi.ErrPipe
	}
	return t.Room()
}

// originOf is what a stream of a file or a connection is of.
func originOf(f *wasi.File, t *wasi.TCP) origin {
	switch {
	case f != nil:
		return ofFile
	case t != nil:
		return ofSocket
	}
	return ofOther
}
