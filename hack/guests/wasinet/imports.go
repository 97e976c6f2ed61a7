//go:build wasip1

package wasinet

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"syscall"
	"unsafe"
)

//go:wasmimport wasi_snapshot_preview1 sock_open_v2
func sockOpen(family, kind uint32, fd *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 sock_bind_v2
func sockBind(fd uint32, address unsafe.Pointer, port uint32) uint32

//go:wasmimport wasi_snapshot_preview1 sock_listen_v2
func sockListen(fd, backlog uint32) uint32

//go:wasmimport wasi_snapshot_preview1 sock_connect_v2
func sockConnect(fd uint32, address unsafe.Pointer, port uint32) uint32

//go:wasmimport wasi_snapshot_preview1 sock_send_to_v2
func sockSendTo(fd uint32, vecs unsafe.Pointer, n uint32, address unsafe.Pointer, port, flags uint32, sent *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 sock_recv_from_v2
func sockRecvFrom(fd uint32, vecs unsafe.Pointer, n uint32, address unsafe.Pointer, flags uint32, port *uint32, got, told *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 sock_getlocaladdr_v2
func sockGetlocaladdr(fd uint32, address unsafe.Pointer, port *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 sock_getaddrinfo
func sockGetaddrinfo(node unsafe.Pointer, nodeSize uint32, service unsafe.Pointer, serviceSize uint32, hint unsafe.Pointer, first *uint32, most uint32, found *uint32) uint32

const (
	familyIPv4 = 1
	familyIPv6 = 2
	datagrams  = 1
	stream     = 2
)

// number is a result as an error.
func number(errno uint32) error {
	if errno == 0 {
		return nil
	}
	return syscall.Errno(errno)
}

// slice is a pointer with a length, of 32 bits each: Go's own pointers have 64.
type slice [2]uint32

func sliceOf(b []byte) *slice {
	return &slice{pointer(unsafe.SliceData(b)), uint32(len(b))}
}

// pointer is a pointer as the host has it. What it points to has to be on the heap, as stacks move:
// kept sees to that.
func pointer[T any](p *T) uint32 {
	kept = p
	return uint32(uintptr(unsafe.Pointer(p)))
}

var kept any

// address is an address with its family, as the later generation of the functions has it.
type address struct {
	bytes [128]byte
	of    slice
}

func newAddress(a netip.Addr) *address {
	to := &address{}
	if a.IsValid() {
		binary.LittleEndian.PutUint16(to.bytes[:], uint16(familyOf(a)))
		copy(to.bytes[2:], a.AsSlice())
	}
	to.of = *sliceOf(to.bytes[:])
	return to
}

func (a *address) pointer() unsafe.Pointer { return unsafe.Pointer(&a.of) }

// ip is the address that a call has written.
func (a *address) ip() netip.Addr {
	runtime.KeepAlive(a)
	if binary.LittleEndian.Uint16(a.bytes[:]) == familyIPv6 {
		return netip.AddrFrom16([16]byte(a.bytes[2:18]))
	}
	return netip.AddrFrom4([4]byte(a.bytes[2:6]))
}

func familyOf(a netip.Addr) uint32 {
	if a.Is4() {
		return familyIPv4
	}
	return familyIPv6
}

// local is the address of a socket.
func local(fd uint32) netip.AddrPort {
	var port uint32
	a := newAddress(netip.Addr{})
	if sockGetlocaladdr(fd, a.pointer(), &port) != 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.ip(), uint16(port))
}
