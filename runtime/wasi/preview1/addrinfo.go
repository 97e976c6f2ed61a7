package preview1

import (
	"context"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Layout of an addrinfo and of its sockaddr in the guest's memory, in bytes.
const (
	addrinfoSize = 28
	sockaddrSize = 12
	dataIPv4     = 14 // the port, the address, and 8 bytes without a meaning
	dataIPv6     = 26 // the port, flow information, the address, and the scope
)

// Flags of a lookup (ai_flags).
const (
	aiPassive     = 1 // without a name: the address to listen at
	aiNumericHost = 4 // no name is looked up
)

const (
	protocolTCP = 1
	protocolUDP = 2
)

// maxNode and maxService bound the texts of a lookup. A name of DNS has 253 bytes at most.
const (
	maxNode    = 256
	maxService = 32
)

// services are the names that programs give instead of numbers.
var services = map[string]uint16{"": 0, "domain": 53, "http": 80, "https": 443}

// lookup is what a guest looks up.
type lookup struct {
	node, service        string
	flags                uint16
	family, kind         uint8
	first, most, results uint32 // where the results go, how many there may be, and where their number goes
}

// sockGetaddrinfo writes the results into a list that the guest has made: its addrinfos, their
// sockaddrs and buffers. A buffer that is too small for an address does not get it.
func sockGetaddrinfo(ctx context.Context, g *Guest, m memory, a arguments) error {
	l, err := m.lookup(a)
	if err != nil {
		return err
	}
	port, ok := services[l.service]
	if !ok {
		n, err := strconv.ParseUint(l.service, 10, 16)
		if err != nil {
			return ErrnoAiservice
		}
		port = uint16(n)
	}
	found, err := g.addresses(ctx, l)
	if err != nil {
		return err
	}
	written, at := uint32(0), l.first
	for _, ip := range found {
		if written == l.most || at == 0 {
			break
		}
		if l.family != familyAny && uint16(l.family) != familyOf(ip) {
			continue
		}
		next, ok, err := m.putAddrinfo(at, netip.AddrPortFrom(ip, port), l.kind)
		if err != nil {
			return err
		}
		if ok {
			written, at = written+1, next
		}
	}
	if written == 0 {
		return ErrnoAinoname
	}
	return m.putU32(l.results, written)
}

// lookup reads what the guest looks up.
func (m memory) lookup(a arguments) (l lookup, err error) {
	if l.node, err = m.word(a.u32(0), a.u32(1), maxNode); err != nil {
		return l, err
	}
	if l.service, err = m.word(a.u32(2), a.u32(3), maxService); err != nil {
		return l, err
	}
	hint, err := m.bytes(a.u32(4), addrinfoSize)
	if err != nil {
		return l, err
	}
	first, err := m.bytes(a.u32(5), 4)
	if err != nil {
		return l, err
	}
	if _, err := m.bytes(a.u32(7), 4); err != nil {
		return l, err
	}
	l.flags, l.family, l.kind = binary.LittleEndian.Uint16(hint), hint[2], hint[3]
	l.first, l.most, l.results = binary.LittleEndian.Uint32(first), a.u32(6), a.u32(7)
	switch {
	case l.node == "" && l.service == "":
		return l, ErrnoAinoname
	case l.family > familyIPv6:
		return l, ErrnoAifamily
	case l.kind > socketStream, l.most == 0:
		return l, ErrnoInval
	}
	return l, nil
}

// word copies a text, which may have a zero byte at its end.
func (m memory) word(ptr, n, most uint32) (string, error) {
	if n > most {
		return "", ErrnoInval
	}
	b, err := m.bytes(ptr, n)
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(string(b), "\x00")
	if strings.IndexByte(text, 0) >= 0 {
		return "", ErrnoInval
	}
	return text, nil
}

// addresses looks up the name. It waits for that.
func (g *Guest) addresses(ctx context.Context, l lookup) ([]netip.Addr, error) {
	switch ip, err := netip.ParseAddr(l.node); {
	case err == nil:
		return []netip.Addr{ip.Unmap().WithZone("")}, nil
	case l.node == "" && l.flags&aiPassive != 0:
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, nil
	case l.node == "":
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	case l.flags&aiNumericHost != 0:
		return nil, ErrnoAinoname
	}
	under, err := g.LookUp(ctx, l.node)
	if err != nil {
		return nil, lookupError(err)
	}
	defer under.Close()
	if err := g.WaitFor(ctx, under); err != nil {
		return nil, err
	}
	found, err := under.Result()
	return found, lookupError(err)
}

// lookupError is the error of a lookup.
func lookupError(err error) error {
	if err == nil {
		return nil
	}
	switch wasi.ErrorOf(err) {
	case 0:
		return wasi.ErrKilled
	case wasi.ErrAccess:
		return ErrnoAcces
	case wasi.ErrNotExist, wasi.ErrInvalid:
		return ErrnoAinoname
	case wasi.ErrWouldBlock, wasi.ErrNoBuffers:
		return ErrnoAiagain
	}
	return ErrnoAifail
}

// putAddrinfo writes an address to the addrinfo at ptr, and returns the next one. It reports false
// if the address does not fit there.
func (m memory) putAddrinfo(ptr uint32, to netip.AddrPort, kind uint8) (next uint32, ok bool, err error) {
	info, err := m.bytes(ptr, addrinfoSize)
	if err != nil {
		return 0, false, err
	}
	le := binary.LittleEndian
	head, err := m.bytes(le.Uint32(info[12:]), sockaddrSize)
	if err != nil {
		return 0, false, err
	}
	data, err := m.bytes(le.Uint32(head[8:]), le.Uint32(head[4:]))
	if err != nil {
		return 0, false, err
	}
	next = le.Uint32(info[24:])
	size := dataIPv4
	if to.Addr().Is6() {
		size = dataIPv6
	}
	if len(data) < size {
		return next, false, nil
	}
	clear(data[:size])
	binary.BigEndian.PutUint16(data, to.Port())
	if to.Addr().Is4() {
		copy(data[2:], to.Addr().AsSlice())
	} else {
		copy(data[6:], to.Addr().AsSlice())
	}
	protocol := uint8(protocolTCP)
	if kind == socketDatagram {
		protocol = protocolUDP
	} else {
		kind = socketStream
	}
	// The guest may have let these overlap, so they are written last.
	head[0] = uint8(familyOf(to.Addr()))
	le.PutUint32(head[4:], uint32(size))
	info[2], info[3], info[4] = head[0], kind, protocol
	le.PutUint32(info[8:], uint32(size))
	le.PutUint32(info[20:], 0) // no canonical name
	return next, true, nil
}
