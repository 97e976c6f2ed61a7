package p3

import (
	"context"
	"io"
	"slices"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

type socketFuture = typed.Future[result[bindings.SocketsErrorCode]]

// tcpSocket is the resource tcp-socket of wasi:sockets. Its streams and calls keep the socket open.
type tcpSocket struct {
	host           *Host
	of             *descriptor.Descriptor
	tcp            *wasi.TCP
	sent, received bool // send and receive are called once
}

// TCPSocketCreate implements bindings.SocketsHost.
func (n network) TCPSocketCreate(_ context.Context, family bindings.IPAddressFamily) (bindings.TCPSocket, error) {
	t, err := n.host.guest.NewTCP(family == bindings.IPAddressFamilyIPv6)
	if err != nil {
		return nil, madeError(err)
	}
	return n.host.tcpSocket(t), nil
}

func (h *Host) tcpSocket(t *wasi.TCP) *tcpSocket {
	return &tcpSocket{host: h, of: h.set.Keep(t), tcp: t}
}

// Drop implements typed.Resource. What goes wrong in closing, no function of WASI 0.3 tells.
func (s *tcpSocket) Drop() { _ = s.of.Done(s.host.ctx) }

// Bind implements bindings.TCPSocket.
func (s *tcpSocket) Bind(_ context.Context, local bindings.IPSocketAddress) error {
	return socketError(s.tcp.Bind(addressOf(local)))
}

// Connect implements bindings.TCPSocket. A connection that is cancelled while it is made is given
// up.
func (s *tcpSocket) Connect(_ context.Context, async typed.Async[none], remote bindings.IPSocketAddress) error {
	if err := s.tcp.StartConnect(addressOf(remote)); err != nil {
		return socketError(err)
	}
	if err := s.tcp.FinishConnect(); !isWait(err) {
		return socketError(err)
	}
	w := &waits{host: s.host, of: s.of, socket: s.tcp, write: true}
	return later(w, async, func() (none, error) { return none{}, s.tcp.FinishConnect() }, socketError, func(cancelled bool) {
		if cancelled {
			s.tcp.GiveUp()
		}
	})
}

// Listen implements bindings.TCPSocket.
func (s *tcpSocket) Listen(context.Context) (none typed.Stream[bindings.TCPSocket], _ error) {
	if err := s.tcp.Listen(); err != nil {
		return none, socketError(err)
	}
	s.of.Use()
	o := &outflow[bindings.TCPSocket]{host: s.host, from: &accepting{tcpSocket: *s}, promise: &promise{}, probe: 1, free: true}
	return o.stream(bindings.ElementTCPSocket), nil
}

// accepting is the source of the connections of a listening socket.
type accepting struct {
	tcpSocket
	ready []bindings.TCPSocket // those that the guest has not taken
	full  bool                 // there was no room for another one
}

func (a *accepting) next(n int) ([]bindings.TCPSocket, error) {
	n = min(n, maxAccepted)
	for len(a.ready) < n {
		t, err := a.tcp.Accept(a.host.ctx, true)
		if err == nil {
			a.ready = append(a.ready, a.host.tcpSocket(t))
			continue
		}
		reason := wasi.ErrorOf(err)
		a.full = reason == wasi.ErrTooManyOpen
		switch {
		case reason != 0 && len(a.ready) > 0: // another error comes again
			return a.ready, nil
		case a.full:
			return nil, wasi.ErrWouldBlock
		}
		return nil, err
	}
	return a.ready[:n], nil
}

func (a *accepting) took(n int) { a.ready = slices.Delete(a.ready, 0, n) }

func (a *accepting) wait(ready func()) (stop func(), err error) {
	if a.full { // only the guest makes room
		t := a.host.timers.after(acceptAgain, ready)
		return func() { t.stop() }, nil
	}
	return a.host.watch(a.tcp, false, ready)
}

func (a *accepting) close() {
	for _, c := range a.ready {
		c.Drop()
	}
	a.ready = nil
	a.Drop()
}

// Send implements bindings.TCPSocket.
func (s *tcpSocket) Send(_ context.Context, data byteStream) (socketFuture, error) {
	p := &promise{}
	if s.sent || s.tcp.State() != wasi.Connected {
		s.host.refuse(data, wasi.ErrState, p)
		return s.host.socketFuture(p), nil
	}
	s.sent = true
	s.of.Use()
	s.host.drainFree(data, &connectionSink{tcpSocket: *s}, p)
	return s.host.socketFuture(p), nil
}

// Receive implements bindings.TCPSocket.
func (s *tcpSocket) Receive(context.Context) (typed.Tuple2[byteStream, socketFuture], error) {
	p := &promise{}
	both := typed.Tuple2[byteStream, socketFuture]{B: s.host.socketFuture(p)}
	if s.received || s.tcp.State() != wasi.Connected {
		both.A = failedStream(s.host, wasi.ErrState, p, bindings.ElementU8)
		return both, nil
	}
	s.received = true
	s.of.Use()
	o := &outflow[byte]{host: s.host, from: &connectionSource{tcpSocket: *s}, promise: p, probe: probeBytes, free: true}
	both.A = o.stream(bindings.ElementU8)
	return both, nil
}

// socketFuture is a future with codes of wasi:sockets.
func (h *Host) socketFuture(p *promise) socketFuture {
	return future(h, p, bindings.ElementResultNoneSocketsErrorCode, socketCode)
}

// connectionSource is a source of the bytes that come by a connection.
type connectionSource struct {
	tcpSocket
	read []byte // by the last next, in memory that others use in later turns
	held []byte // read and not taken
}

func (s *connectionSource) next(n int) ([]byte, error) {
	h := s.host
	if err := h.Look(); err != nil {
		return nil, err
	}
	if len(s.held) > 0 {
		return s.held[:min(n, len(s.held))], nil
	}
	b := h.guest.Scratch(min(n, piece))
	got, err := s.tcp.Receive(h.ctx, h.guest.One(b), wasi.DontWait)
	s.read = b[:got]
	if err == nil && got == 0 {
		err = io.EOF
	}
	return s.read, err
}

func (s *connectionSource) keep() {
	if len(s.held) == 0 {
		s.held, s.read = slices.Clone(s.read), nil
	}
}

func (s *connectionSource) took(n int) {
	if len(s.held) > 0 {
		s.held = s.held[n:]
		return
	}
	if n < len(s.read) {
		s.held = slices.Clone(s.read[n:])
	}
	s.read = nil
}

func (s *connectionSource) wait(ready func()) (stop func(), err error) {
	return s.host.watch(s.tcp, false, ready)
}

func (s *connectionSource) close() {
	_ = s.tcp.Shutdown(wasi.ShutdownReceive) // it fails only if the connection has ended
	s.Drop()
}

// connectionSink sends bytes by a connection.
type connectionSink struct{ tcpSocket }

func (*connectionSink) open() int { return 0 }

func (s *connectionSink) room(n int) (int, error) {
	if err := s.host.Look(); err != nil {
		return 0, err
	}
	free, err := s.tcp.Room()
	return min(n, free), err
}

// put waits only if the kernel has very little memory: see wasi.TCP.Room.
func (s *connectionSink) put(b []byte) error {
	defer s.host.guest.One(nil) // b is the guest's memory, which may be freed
	_, err := s.tcp.Send(s.host.ctx, s.host.guest.One(b), false)
	return err
}

func (s *connectionSink) wait(ready func()) (stop func(), err error) {
	return s.host.watch(s.tcp, true, ready)
}

func (*connectionSink) rest() bool { return false }

func (s *connectionSink) close() {
	_ = s.tcp.Shutdown(wasi.ShutdownSend) // it fails only if the connection has ended
	s.Drop()
}

// GetLocalAddress implements bindings.TCPSocket.
func (s *tcpSocket) GetLocalAddress(context.Context) (bindings.IPSocketAddress, error) {
	return shownAddress(s.tcp.Local())
}

// GetRemoteAddress implements bindings.TCPSocket.
func (s *tcpSocket) GetRemoteAddress(context.Context) (bindings.IPSocketAddress, error) {
	return shownAddress(s.tcp.Remote())
}

// GetIsListening implements bindings.TCPSocket.
func (s *tcpSocket) GetIsListening(context.Context) (bool, error) {
	return s.tcp.State() == wasi.Listening, nil
}

// GetAddressFamily implements bindings.TCPSocket.
func (s *tcpSocket) GetAddressFamily(context.Context) (bindings.IPAddressFamily, error) {
	return family(s.tcp.IPv6()), nil
}

// SetListenBacklogSize implements bindings.TCPSocket.
func (s *tcpSocket) SetListenBacklogSize(_ context.Context, n uint64) error {
	return socketError(s.tcp.SetBacklog(n))
}
