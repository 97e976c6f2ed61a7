package preview1

import (
	"encoding/binary"
	"math"
	"net/netip"
)

// An address of WasmEdge's functions is a pointer and a length. There are two generations: the
// bytes of the address, 4 or 16, and a structure of 128 bytes with the family before them.
const (
	addressSize  = 8 // of the pointer and the length
	storageSize  = 128
	familyOffset = 2 // where the bytes of the address begin in the structure
)

// Families of addresses, and what old programs get instead from sock_getlocaladdr.
const (
	familyAny = iota
	familyIPv4
	familyIPv6

	oldIPv4 = 4
	oldIPv6 = 6
)

// address is the buffer that the structure at ptr points to.
func (m memory) address(ptr uint32) ([]byte, error) {
	b, err := m.bytes(ptr, addressSize)
	if err != nil {
		return nil, err
	}
	return m.bytes(binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]))
}

// addressPort reads an address with its port.
func (m memory) addressPort(ptr, port uint32) (none netip.AddrPort, err error) {
	b, err := m.address(ptr)
	if err != nil {
		return none, err
	}
	if port > math.MaxUint16 {
		return none, ErrnoInval
	}
	if len(b) == storageSize {
		switch binary.LittleEndian.Uint16(b) {
		case familyIPv4:
			b = b[familyOffset : familyOffset+4]
		case familyIPv6:
			b = b[familyOffset : familyOffset+16]
		default:
			return none, ErrnoAfnosupport
		}
	}
	ip, ok := netip.AddrFromSlice(b)
	if !ok {
		return none, ErrnoInval
	}
	return netip.AddrPortFrom(ip, uint16(port)), nil
}

func familyOf(a netip.Addr) uint16 {
	if a.Is4() {
		return familyIPv4
	}
	return familyIPv6
}

// putAddress writes an address to a buffer of one of the generations.
func putAddress(b []byte, a netip.Addr) error {
	ip := a.AsSlice()
	switch {
	case len(b) == storageSize:
		clear(b)
		binary.LittleEndian.PutUint16(b, familyOf(a))
		copy(b[familyOffset:], ip)
	case (len(b) == 4 || len(b) == 16) && len(ip) <= len(b):
		clear(b)
		copy(b, ip)
	default:
		return ErrnoInval
	}
	return nil
}
