package wasi

import "golang.org/x/sys/unix"

// Option is an option of a socket.
type Option uint8

// The options. Times are in seconds, sizes in bytes, and what is on is 1.
const (
	KeepAlive         Option = iota
	KeepAliveIdle            // after what time without data the first packet is sent
	KeepAliveInterval        // between two packets
	KeepAliveCount           // how many packets are sent before the connection is given up
	HopLimit
	ReceiveBuffer
	SendBuffer
	Broadcast // datagrams may go to a broadcast address

	options = iota
)

// maxSocketBuffer bounds the memory that a guest makes the kernel hold for a direction of a socket.
// The kernel has a bound of its own, which is less on most machines (net.core.rmem_max, wmem_max).
const maxSocketBuffer = 1 << 20

// optionKind says what an option is for the kernel. A value is brought between least and most.
type optionKind struct {
	level, name int
	ipv6        [2]int // the same for sockets of IPv6, if it differs
	least, most uint64
	doubled     bool // the kernel counts its own data, too, and says twice what was set
}

var optionKinds = [options]optionKind{
	KeepAlive:         {level: unix.SOL_SOCKET, name: unix.SO_KEEPALIVE, most: 1},
	KeepAliveIdle:     {level: unix.IPPROTO_TCP, name: unix.TCP_KEEPIDLE, least: 1, most: 32767},
	KeepAliveInterval: {level: unix.IPPROTO_TCP, name: unix.TCP_KEEPINTVL, least: 1, most: 32767},
	KeepAliveCount:    {level: unix.IPPROTO_TCP, name: unix.TCP_KEEPCNT, least: 1, most: 127},
	HopLimit: {
		level: unix.IPPROTO_IP, name: unix.IP_TTL, ipv6: [2]int{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS}, least: 1, most: 255,
	},
	ReceiveBuffer: {level: unix.SOL_SOCKET, name: unix.SO_RCVBUF, least: 1, most: maxSocketBuffer, doubled: true},
	SendBuffer:    {level: unix.SOL_SOCKET, name: unix.SO_SNDBUF, least: 1, most: maxSocketBuffer, doubled: true},
	Broadcast:     {level: unix.SOL_SOCKET, name: unix.SO_BROADCAST, most: 1},
}

// of returns what the option is for a socket.
func (o Option) of(s *socket) (k optionKind, level, name int) {
	k = optionKinds[o]
	if s.ipv6 && k.ipv6 != [2]int{} {
		return k, k.ipv6[0], k.ipv6[1]
	}
	return k, k.level, k.name
}

// Option returns the value of an option.
func (s *socket) Option(o Option) (uint64, error) {
	k, level, name := o.of(s)
	v, err := unix.GetsockoptInt(s.fd, level, name)
	if k.doubled {
		v /= 2
	}
	return uint64(max(v, 0)), err
}

// SetOption sets an option, to the next value that it may have. The error is ErrInvalid for 0, if
// the option cannot be 0.
func (s *socket) SetOption(o Option, v uint64) error {
	k, level, name := o.of(s)
	if v < k.least {
		return ErrInvalid
	}
	return unix.SetsockoptInt(s.fd, level, name, int(min(v, k.most)))
}

// TakeError returns the error that the socket has had since the last call, or nil.
func (s *socket) TakeError() (Error, error) {
	number, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || number == 0 {
		return 0, err
	}
	return ErrorOf(unix.Errno(number)), nil
}
