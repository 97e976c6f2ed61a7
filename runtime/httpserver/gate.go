package httpserver

import (
	"net"
	"net/netip"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Gate decides on connections by who has made them. Its methods are those of wasi.Network.
type Gate interface {
	Accept(p runtime.Protocol, local, from netip.AddrPort) error
	Watch(p runtime.Protocol, local, remote netip.AddrPort, outgoing bool, cut func()) (stop func())
}

// admits reports whether a connection is allowed. If not, it resets the connection.
func (s *Server) admits(c net.Conn) bool {
	tcp, ok := c.(*net.TCPConn)
	if s.config.Gate == nil || !ok {
		return true
	}
	if s.config.Gate.Accept(runtime.TCP, endOf(tcp.LocalAddr()), endOf(tcp.RemoteAddr())) == nil {
		return true
	}
	_ = tcp.SetLinger(0) // an error of both means that it is closed
	_ = tcp.Close()
	return false
}

// watch has the connection cut when it is not allowed any more.
func (c *conn) watch() {
	gate := c.server.config.Gate
	if tcp, ok := c.Conn.(*net.TCPConn); ok && gate != nil {
		c.unwatch = gate.Watch(runtime.TCP, endOf(tcp.LocalAddr()), endOf(tcp.RemoteAddr()), false, func() {
			c.reset()
			c.cut()
		})
	}
}

// endOf is the address of an end of a connection; it is zero if the connection has been closed.
func endOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return tcp.AddrPort()
}
