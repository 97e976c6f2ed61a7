//go:build wasip1

package wasinet

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

var noTime time.Time

// most is how many addresses of a name are used.
const most = 16

// info is an addrinfo with its sockaddr and buffer, in the form of the call.
type info struct {
	flags                                   uint16
	family, kind                            uint8
	protocol                                uint32
	size, sockaddr, name, nameSize, nextOne uint32
	addressFamily, dataSize, data           uint32
	bytes                                   [26]byte
}

// Lookup returns the addresses of a name, or of an address as text.
func Lookup(name string) ([]netip.Addr, error) {
	all := make([]info, most)
	for i := range all {
		a := &all[i]
		a.sockaddr, a.dataSize, a.data = pointer(&a.addressFamily), uint32(len(a.bytes)), pointer(&a.bytes)
		if i+1 < most {
			a.nextOne = pointer(&all[i+1])
		}
	}
	var (
		hint  info
		first = pointer(&all[0])
		found uint32
		node  = []byte(name)
	)
	err := number(sockGetaddrinfo(unsafe.Pointer(unsafe.SliceData(node)), uint32(len(node)), unsafe.Pointer(unsafe.SliceData(node)), 0,
		unsafe.Pointer(&hint), &first, most, &found))
	runtime.KeepAlive(node)
	if err != nil {
		return nil, &net.DNSError{Err: "error " + err.Error(), Name: name}
	}
	var ips []netip.Addr
	for _, a := range all[:found] {
		if a.family == familyIPv6 {
			ips = append(ips, netip.AddrFrom16([16]byte(a.bytes[6:22])))
		} else {
			ips = append(ips, netip.AddrFrom4([4]byte(a.bytes[2:6])))
		}
	}
	return ips, nil
}

// resolve returns the addresses of a host with a port.
func resolve(network, to string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(to)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	ips, err := Lookup(host)
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, ip := range ips {
		if strings.HasSuffix(network, "4") && !ip.Is4() || strings.HasSuffix(network, "6") && ip.Is4() {
			continue
		}
		all = append(all, netip.AddrPortFrom(ip, uint16(port)))
	}
	if len(all) == 0 {
		return nil, errors.New("the name has no address of the family")
	}
	return all, nil
}
