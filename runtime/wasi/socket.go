package wasi

import (
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// socket is what sockets of TCP and UDP share. Its descriptor never blocks in the kernel.
type socket struct {
	guest    *Guest
	protocol runtime.Protocol
	ipv6     bool
	initial  bool // the guest has it from its start
	watched  bool // the poller knows it
	bound    bool
	as       netip.Addr // what the guest has bound it to; the zero Addr if it did not
	// private is the host's address that the Network keeps for the guest's loopback alone because of
	// this socket; zero without.
	private netip.AddrPort

	mu        sync.Mutex // guards closing against cut and shut, which other goroutines call
	fd        int
	forbidden atomic.Bool // its connection was cut
}

// open makes the socket in the kernel.
func (s *socket) open(g *Guest, p runtime.Protocol, ipv6 bool) error {
	if g.network == nil {
		return ErrAccess
	}
	if err := g.room.reserve(); err != nil {
		return err
	}
	domain, kind := unix.AF_INET, unix.SOCK_STREAM
	if ipv6 {
		domain = unix.AF_INET6
	}
	if p == runtime.UDP {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		if err = prepare(fd, p, ipv6); err != nil {
			_ = unix.Close(fd) // it was never used
		}
	}
	if err != nil {
		g.room.release()
		return err
	}
	s.guest, s.protocol, s.ipv6, s.fd = g, p, ipv6, fd
	return nil
}

// prepare sets what WASI wants of each socket: no IPv4 in sockets of IPv6, and that a port can be
// bound again soon. A socket of UDP must not have the latter: with it, another one could take its
// datagrams. Small writes are sent at once, as WASI has no option for it, and guests do not expect
// the delay.
func prepare(fd int, p runtime.Protocol, ipv6 bool) error {
	if ipv6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	if p == runtime.UDP {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
}

// Type implements Object.
func (*socket) Type() FileType { return TypeSocket }

// Stat implements Object.
func (s *socket) Stat() (Stat, error) { return statFD(s.fd) }

// IPv6 reports whether the socket is one of IPv6.
func (s *socket) IPv6() bool { return s.ipv6 }

// Watch has ready called once, by another goroutine, when the socket can be read from, or written
// to. ready must not call the guest. Close ends the wait.
func (s *socket) Watch(write bool, ready func()) (*Watch, error) {
	s.watched = true
	return beside.watch(s.fd, write, ready)
}

// close closes the descriptor, and gives its room back.
func (s *socket) close() error {
	s.unbind()
	if s.initial {
		s.guest.room.open--
	} else {
		s.guest.room.release()
	}
	return s.end()
}

func (s *socket) end() error {
	if s.watched {
		beside.forget(s.fd)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fd := s.fd
	s.fd = -1
	return unix.Close(fd)
}

// cut ends a connection that is not allowed any more: its other end gets a reset, and so does the
// guest. Any goroutine may call it.
func (s *socket) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forbidden.Store(true)
	if s.fd >= 0 {
		disconnect(s.fd)
	}
}

// disconnect resets a connection of TCP, and lets a socket of UDP have no other end.
func disconnect(fd int) {
	to := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	// It does not wait, and fails only if the socket has no other end.
	_, _, _ = unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to)), unsafe.Sizeof(to))
}

// bind binds the socket to the guest's address. listen has the meaning of Network.Bind.
func (s *socket) bind(to netip.AddrPort, listen bool) error {
	host, err := s.mayBind(to, listen)
	if err != nil {
		return err
	}
	if err := s.bindHost(host); err != nil {
		s.unbind() // another socket may have the port
		return err
	}
	return nil
}

// mayBind asks the Network. The host's address is the result.
func (s *socket) mayBind(to netip.AddrPort, listen bool) (netip.AddrPort, error) {
	s.unbind()
	host, err := s.guest.network.Bind(s.protocol, to, listen)
	if err == nil && listen && to.Addr().IsLoopback() && to.Port() != 0 {
		s.private = host
	}
	return host, err
}

// unbind tells the Network that the socket is at the guest's loopback no more.
func (s *socket) unbind() {
	if s.private.IsValid() {
		s.guest.network.Unbind(s.protocol, s.private)
		s.private = netip.AddrPort{}
	}
}

// bindHost binds the socket to the host's address.
func (s *socket) bindHost(host netip.AddrPort) error {
	if host.Addr().Is4() == s.ipv6 {
		return ErrAddressNotAvailable
	}
	err := unix.Bind(s.fd, sockaddr(host))
	if err == unix.EADDRNOTAVAIL && s.ipv6 && s.guest.network.Own(host.Addr()) {
		if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1); err != nil {
			return err
		}
		err = unix.Bind(s.fd, sockaddr(host))
	}
	if err == nil {
		s.bound = true
	}
	return err
}

// bindAnywhere binds a socket that only sends, before it does: to the address from which the way
// begins, or else to what the Network has for it.
func (s *socket) bindAnywhere(from netip.Addr) error {
	if s.bound {
		return nil
	}
	if from.IsValid() {
		return s.bindHost(netip.AddrPortFrom(from, 0))
	}
	return s.bind(netip.AddrPortFrom(s.unspecified(), 0), false)
}

func (s *socket) unspecified() netip.Addr {
	if s.ipv6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// local is the host's address of the socket.
func (s *socket) local() netip.AddrPort {
	at, err := unix.Getsockname(s.fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return addrPort(at)
}

// show is the guest's address of the socket, which is bound to the host's address. Its connection
// goes to the host's address `to`, which the guest calls remote; both may be zero. A guest that
// connects to itself by its loopback address has that at both ends.
func (s *socket) show(host, to, remote netip.AddrPort) netip.AddrPort {
	connected := to.IsValid()
	switch {
	case s.as.IsValid() && !(connected && s.as.IsUnspecified()):
		return netip.AddrPortFrom(s.as, host.Port())
	case connected && host.Addr() == to.Addr():
		return netip.AddrPortFrom(remote.Addr(), host.Port())
	case s.guest.network == nil:
		return host
	}
	return s.guest.network.Shown(host)
}

// showOther is the guest's address of another end. shown and host are those of the socket.
func showOther(from, shown, host netip.AddrPort) netip.AddrPort {
	if from.Addr() == host.Addr() && !shown.Addr().IsUnspecified() {
		return netip.AddrPortFrom(shown.Addr(), from.Port())
	}
	return from
}

// checkLocal returns an error if the socket cannot be bound to the guest's address.
func (s *socket) checkLocal(a netip.AddrPort) error {
	switch {
	case s.bound:
		return ErrState
	case a.Addr().Is4() == s.ipv6:
		return ErrFamily
	case a.Addr().Is4In6(), s.protocol == runtime.TCP && manyHosts(a.Addr()):
		return ErrInvalid
	}
	return nil
}

// checkRemote returns an error if no connection or datagram can go to the guest's address.
func (s *socket) checkRemote(a netip.AddrPort) error {
	switch {
	case a.Addr().Is4() == s.ipv6:
		return ErrFamily
	case a.Addr().Is4In6(), a.Addr().IsUnspecified(), a.Port() == 0, s.protocol == runtime.TCP && manyHosts(a.Addr()):
		return ErrInvalid
	}
	return nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// manyHosts reports whether an address is one of many hosts.
func manyHosts(a netip.Addr) bool { return a.IsMulticast() || a == broadcast }

// sockaddr is the kernel's form of an address.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	zone, _ := strconv.ParseUint(a.Addr().Zone(), 10, 32)
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: uint32(zone)}
}

// addrPort is an address from the kernel. It has no zone: those are of the host.
func addrPort(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}
