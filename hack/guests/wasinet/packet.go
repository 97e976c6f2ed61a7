//go:build wasip1

package wasinet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// PacketConn sends and receives datagrams.
type PacketConn struct {
	f   *os.File
	raw syscall.RawConn
	fd  uint32
}

// ListenPacket makes a socket for datagrams at an address.
func ListenPacket(at netip.AddrPort) (*PacketConn, error) {
	f, fd, err := open(datagrams, familyOf(at.Addr()))
	if err != nil {
		return nil, err
	}
	if err := number(sockBind(fd, newAddress(at.Addr()).pointer(), uint32(at.Port()))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	raw, err := f.SyscallConn()
	return &PacketConn{f, raw, fd}, err
}

// ReadFrom implements net.PacketConn.
func (c *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	var (
		port, got, told uint32
		failed          error
		from            = newAddress(netip.Addr{})
	)
	err := c.raw.Read(func(uintptr) bool {
		failed = number(sockRecvFrom(c.fd, unsafe.Pointer(sliceOf(b)), 1, from.pointer(), 0, &port, &got, &told))
		return failed != syscall.EAGAIN
	})
	runtime.KeepAlive(b)
	if err = errors.Join(err, failed); err != nil {
		return 0, nil, err
	}
	return int(got), net.UDPAddrFromAddrPort(netip.AddrPortFrom(from.ip(), uint16(port))), nil
}

// WriteTo implements net.PacketConn.
func (c *PacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	at, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, net.InvalidAddrError("the address is none of UDP")
	}
	var (
		sent   uint32
		failed error
		ip, _  = netip.AddrFromSlice(at.IP)
		target = newAddress(ip.Unmap())
	)
	err := c.raw.Write(func(uintptr) bool {
		failed = number(sockSendTo(c.fd, unsafe.Pointer(sliceOf(b)), 1, target.pointer(), uint32(at.Port), 0, &sent))
		return failed != syscall.EAGAIN
	})
	runtime.KeepAlive(b)
	return int(sent), errors.Join(err, failed)
}

// Close implements net.PacketConn.
func (c *PacketConn) Close() error { return c.f.Close() }

// LocalAddr implements net.PacketConn.
func (c *PacketConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(local(c.fd)) }

// SetDeadline implements net.PacketConn.
func (c *PacketConn) SetDeadline(t time.Time) error { return c.f.SetDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (c *PacketConn) SetReadDeadline(t time.Time) error { return c.f.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn.
func (c *PacketConn) SetWriteDeadline(t time.Time) error { return c.f.SetWriteDeadline(t) }
