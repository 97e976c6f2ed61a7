package p3

import (
	"context"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// optioned is a socket with options.
type optioned interface {
	Option(o wasi.Option) (uint64, error)
	SetOption(o wasi.Option, v uint64) error
}

func option(s optioned, o wasi.Option) (uint64, error) {
	v, err := s.Option(o)
	return v, socketError(err)
}

func setOption(s optioned, o wasi.Option, v uint64) error { return socketError(s.SetOption(o, v)) }

// duration is an option whose value is a time.
func duration(s optioned, o wasi.Option) (bindings.Duration, error) {
	v, err := option(s, o)
	return v * uint64(time.Second), err
}

func setDuration(s optioned, o wasi.Option, d bindings.Duration) error {
	seconds := d / uint64(time.Second)
	if d%uint64(time.Second) != 0 {
		seconds++
	}
	return setOption(s, o, seconds)
}

// GetKeepAliveEnabled implements bindings.TCPSocket.
func (s *tcpSocket) GetKeepAliveEnabled(context.Context) (bool, error) {
	v, err := option(s.tcp, wasi.KeepAlive)
	return v != 0, err
}

// SetKeepAliveEnabled implements bindings.TCPSocket.
func (s *tcpSocket) SetKeepAliveEnabled(_ context.Context, on bool) error {
	if on {
		return setOption(s.tcp, wasi.KeepAlive, 1)
	}
	return setOption(s.tcp, wasi.KeepAlive, 0)
}

// GetKeepAliveIdleTime implements bindings.TCPSocket.
func (s *tcpSocket) GetKeepAliveIdleTime(context.Context) (bindings.Duration, error) {
	return duration(s.tcp, wasi.KeepAliveIdle)
}

// SetKeepAliveIdleTime implements bindings.TCPSocket.
func (s *tcpSocket) SetKeepAliveIdleTime(_ context.Context, d bindings.Duration) error {
	return setDuration(s.tcp, wasi.KeepAliveIdle, d)
}

// GetKeepAliveInterval implements bindings.TCPSocket.
func (s *tcpSocket) GetKeepAliveInterval(context.Context) (bindings.Duration, error) {
	return duration(s.tcp, wasi.KeepAliveInterval)
}

// SetKeepAliveInterval implements bindings.TCPSocket.
func (s *tcpSocket) SetKeepAliveInterval(_ context.Context, d bindings.Duration) error {
	return setDuration(s.tcp, wasi.KeepAliveInterval, d)
}

// GetKeepAliveCount implements bindings.TCPSocket.
func (s *tcpSocket) GetKeepAliveCount(context.Context) (uint32, error) {
	v, err := option(s.tcp, wasi.KeepAliveCount)
	return uint32(v), err
}

// SetKeepAliveCount implements bindings.TCPSocket.
func (s *tcpSocket) SetKeepAliveCount(_ context.Context, n uint32) error {
	return setOption(s.tcp, wasi.KeepAliveCount, uint64(n))
}

// GetHopLimit implements bindings.TCPSocket.
func (s *tcpSocket) GetHopLimit(context.Context) (uint8, error) {
	v, err := option(s.tcp, wasi.HopLimit)
	return uint8(v), err
}

// SetHopLimit implements bindings.TCPSocket.
func (s *tcpSocket) SetHopLimit(_ context.Context, n uint8) error {
	return setOption(s.tcp, wasi.HopLimit, uint64(n))
}

// GetReceiveBufferSize implements bindings.TCPSocket.
func (s *tcpSocket) GetReceiveBufferSize(context.Context) (uint64, error) {
	return option(s.tcp, wasi.ReceiveBuffer)
}

// SetReceiveBufferSize implements bindings.TCPSocket.
func (s *tcpSocket) SetReceiveBufferSize(_ context.Context, n uint64) error {
	return setOption(s.tcp, wasi.ReceiveBuffer, n)
}

// GetSendBufferSize implements bindings.TCPSocket.
func (s *tcpSocket) GetSendBufferSize(context.Context) (uint64, error) {
	return option(s.tcp, wasi.SendBuffer)
}

// SetSendBufferSize implements bindings.TCPSocket.
func (s *tcpSocket) SetSendBufferSize(_ context.Context, n uint64) error {
	return setOption(s.tcp, wasi.SendBuffer, n)
}

// GetUnicastHopLimit implements bindings.UDPSocket.
func (s *udpSocket) GetUnicastHopLimit(context.Context) (uint8, error) {
	v, err := option(s.udp, wasi.HopLimit)
	return uint8(v), err
}

// SetUnicastHopLimit implements bindings.UDPSocket.
func (s *udpSocket) SetUnicastHopLimit(_ context.Context, n uint8) error {
	return setOption(s.udp, wasi.HopLimit, uint64(n))
}

// GetReceiveBufferSize implements bindings.UDPSocket.
func (s *udpSocket) GetReceiveBufferSize(context.Context) (uint64, error) {
	return option(s.udp, wasi.ReceiveBuffer)
}

// SetReceiveBufferSize implements bindings.UDPSocket.
func (s *udpSocket) SetReceiveBufferSize(_ context.Context, n uint64) error {
	return setOption(s.udp, wasi.ReceiveBuffer, n)
}

// GetSendBufferSize implements bindings.UDPSocket.
func (s *udpSocket) GetSendBufferSize(context.Context) (uint64, error) {
	return option(s.udp, wasi.SendBuffer)
}

// SetSendBufferSize implements bindings.UDPSocket.
func (s *udpSocket) SetSendBufferSize(_ context.Context, n uint64) error {
	return setOption(s.udp, wasi.SendBuffer, n)
}
