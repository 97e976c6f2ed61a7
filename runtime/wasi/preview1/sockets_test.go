package preview1

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/testnetwork"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Addresses in the caller's memory, for sockets.
const (
	addrAddress = 0x100 // a pointer and a length
	addrBytes   = 0x200 // the bytes of an address
	addrPort    = 0x300
	addrSize    = 0x310 // how many bytes were moved, and roflags
)

func networked(t testing.TB, n *testnetwork.Network) *caller {
	t.Helper()
	return newCaller(t, wasi.Config{Network: n})
}

// socket makes a socket.
func (c *caller) socket(family, kind uint64) uint64 {
	c.t.Helper()
	c.want(nil, "sock_open", family, kind, addrResult)
	return uint64(c.u32(addrResult))
}

// address writes an address in a form: with 4 or 16 bytes, or with 128. It returns the arguments
// for it.
func (c *caller) address(text string, form int) (ptr, port uint64) {
	a := netip.MustParseAddrPort(text)
	b := c.mem[addrBytes : addrBytes+storageSize]
	clear(b)
	if form == storageSize {
		binary.LittleEndian.PutUint16(b, familyOf(a.Addr()))
		copy(b[2:], a.Addr().AsSlice())
	} else {
		form = copy(b, a.Addr().AsSlice())
	}
	binary.LittleEndian.PutUint32(c.mem[addrAddress:], addrBytes)
	binary.LittleEndian.PutUint32(c.mem[addrAddress+4:], uint32(form))
	return addrAddress, uint64(a.Port())
}

// shown reads an address that a call wrote in the form of 128 bytes.
func (c *caller) shown(port int) string {
	b := c.mem[addrBytes:]
	n := map[uint16]int{familyIPv4: 4, familyIPv6: 16}[binary.LittleEndian.Uint16(b)]
	ip, _ := netip.AddrFromSlice(b[2 : 2+n])
	return netip.AddrPortFrom(ip, uint16(port)).String()
}

// local is the address of a socket.
func (c *caller) local(fd uint64) string {
	c.t.Helper()
	c.address("127.0.0.1:0", storageSize)
	c.want(nil, "sock_getlocaladdr_v2", fd, addrAddress, addrPort)
	return c.shown(int(c.u32(addrPort)))
}

// TestMadeSockets has a guest make sockets in both generations of addresses, and connect to itself.
func TestMadeSockets(t *testing.T) {
	c := networked(t, &testnetwork.Network{})
	for _, test := range []struct {
		at     string
		family uint64
		form   int
		accept string
	}{
		{"127.0.0.1:0", familyIPv4, 4, "sock_accept_v1"}, {"[::1]:0", familyIPv6, 16, "sock_accept"},
		{"127.0.0.1:0", familyIPv4, storageSize, "sock_accept_v2"}, {"[::1]:0", familyIPv6, storageSize, "sock_accept_v2"},
	} {
		l := c.socket(test.family, socketStream)
		ptr, port := c.address(test.at, test.form)
		c.want(nil, "sock_bind", l, ptr, port)
		c.want(ErrnoInval, "sock_accept", l, 0, addrResult)
		c.want(nil, "sock_listen", l, 10)
		at := c.local(l)
		client := c.socket(test.family, socketAny)
		ptr, port = c.address(at, test.form)
		c.want(nil, "sock_connect", client, ptr, port)
		if test.accept == "sock_accept_v1" {
			c.want(nil, test.accept, l, addrResult)
		} else {
			c.want(nil, test.accept, l, 0, addrResult)
		}
		server := uint64(c.u32(addrResult))
		c.write(client, "hello")
		if got := c.read(server, 10); got != "hello" {
			t.Errorf("the server received %q", got)
		}
		c.put(addrData, "answer")
		v, n := c.vec(6)
		c.want(nil, "sock_send_v2", server, v, n, 0, addrSize)
		v, n = c.vec(10)
		c.address("127.0.0.1:0", storageSize)
		c.want(nil, "sock_recv_from_v2", client, v, n, addrAddress, 0, addrPort, addrSize, addrSize+4)
		if from := c.shown(int(binary.LittleEndian.Uint16(c.mem[addrPort:]))); from != at || c.u32(addrSize) != 6 {
			t.Errorf("received %d bytes from %s, want those of %s", c.u32(addrSize), from, at)
		}
		// The first generation says the family in a number of its own.
		c.address("[::]:0", 16)
		c.want(nil, "sock_getpeeraddr", client, addrAddress, addrPort, addrPort+4)
		if family := c.u32(addrPort); family != map[uint64]uint32{familyIPv4: 4, familyIPv6: 6}[test.family] {
			t.Errorf("the peer's family is %d", family)
		}
		c.want(nil, "sock_shutdown", client, shutWrite)
		if got := c.read(server, 10); got != "" {
			t.Errorf("after the end: %q", got)
		}
		c.want(nil, "fd_fdstat_get", client, addrData)
		if kind := filetype(c.mem[addrData]); kind != typeSocketStream {
			t.Errorf("its type is %d", kind)
		}
		for _, fd := range []uint64{client, server, l} {
			c.want(nil, "fd_close", fd)
		}
	}
}

// TestConnectWithoutWaiting connects a non-blocking socket, as Go's dialers do.
func TestConnectWithoutWaiting(t *testing.T) {
	c := networked(t, &testnetwork.Network{})
	l := listen(t)
	defer l.Close()
	fd := c.socket(familyIPv4, socketStream)
	c.want(nil, "fd_fdstat_set_flags", fd, flagNonblock)
	ptr, port := c.address(l.Addr().String(), 4)
	if err := c.call("sock_connect", fd, ptr, port); err != nil && err != ErrnoInprogress {
		t.Fatalf("sock_connect: %v", err)
	}
	c.subscribe(0, eventFDWrite, fd, 0)
	if e := c.events(1); len(e) != 1 || e[0].errno != 0 {
		t.Errorf("events %+v", e)
	}
	c.option(fd, optionError, 0)
	c.want(ErrnoIsconn, "sock_connect", fd, ptr, port)
	free := listen(t)
	_ = free.Close()
	closed := c.socket(familyIPv4, socketStream)
	c.want(nil, "fd_fdstat_set_flags", closed, flagNonblock)
	ptr, port = c.address(free.Addr().String(), 4)
	err := c.call("sock_connect", closed, ptr, port)
	if err == ErrnoInprogress {
		c.subscribe(0, eventFDWrite, closed, 0)
		c.events(1)
		c.option(closed, optionError, uint32(ErrnoConnrefused))
	} else if err != ErrnoConnrefused {
		t.Errorf("connecting to a closed port: %v", err)
	}
}

// option reads an option, and compares it.
func (c *caller) option(fd, name uint64, want uint32) {
	c.t.Helper()
	binary.LittleEndian.PutUint32(c.mem[addrSize:], 4)
	c.want(nil, "sock_getsockopt", fd, levelSocket, name, addrResult, addrSize)
	if got := c.u32(addrResult); got != want {
		c.t.Errorf("option %d is %d, want %d", name, got, want)
	}
}

func TestOptionsOfSockets(t *testing.T) {
	c := networked(t, &testnetwork.Network{})
	stream, dgram := c.socket(familyIPv4, socketStream), c.socket(familyIPv4, socketDatagram)
	set := func(fd, name uint64, v uint32) error {
		binary.LittleEndian.PutUint32(c.mem[addrData:], v)
		return c.call("sock_setsockopt", fd, levelSocket, name, addrData, 4)
	}
	for _, name := range []uint64{optionKeepAlive, optionSendBuffer, optionRecvBuffer} {
		if err := set(stream, name, 1); err != nil {
			t.Errorf("option %d: %v", name, err)
		}
	}
	c.option(stream, optionKeepAlive, 1)
	if err := set(stream, optionSendBuffer, 1<<16); err != nil {
		t.Error(err)
	}
	c.option(stream, optionSendBuffer, 1<<16)
	c.option(stream, optionType, socketStream)
	c.option(dgram, optionType, socketDatagram)
	c.option(stream, optionReuseAddress, 1)
	c.option(dgram, optionReuseAddress, 0)
	c.option(stream, optionAccepting, 0)
	c.option(stream, optionError, 0)
	for _, test := range []struct {
		fd, name uint64
		v        uint32
		want     error
	}{
		{stream, optionReuseAddress, 1, nil}, {dgram, optionReuseAddress, 1, ErrnoNotsup}, {dgram, optionBroadcast, 1, nil},
		{stream, 9, 1, ErrnoNoprotoopt}, {stream, optionSendBuffer, 1 << 31, nil}, {3, optionKeepAlive, 1, ErrnoBadf}, {99, optionKeepAlive, 1, ErrnoBadf},
	} {
		if err := set(test.fd, test.name, test.v); err != test.want {
			t.Errorf("option %d of %d set to %d: %v, want %v", test.name, test.fd, test.v, err, test.want)
		}
	}
	c.want(ErrnoNoprotoopt, "sock_getsockopt", stream, 1, optionType, addrResult, addrSize)
	c.want(ErrnoNoprotoopt, "sock_getsockopt", stream, levelSocket, 14, addrResult, addrSize)
	binary.LittleEndian.PutUint32(c.mem[addrSize:], 3)
	c.want(ErrnoInval, "sock_getsockopt", stream, levelSocket, optionType, addrResult, addrSize)
}

func TestDatagramsOfSockets(t *testing.T) {
	c := networked(t, &testnetwork.Network{})
	server, client := c.socket(familyIPv4, socketDatagram), c.socket(familyIPv4, socketDatagram)
	ptr, port := c.address("127.0.0.1:0", storageSize)
	c.want(nil, "sock_bind", server, ptr, port)
	at := c.local(server)
	if unbound := c.local(client); unbound != "0.0.0.0:0" {
		t.Errorf("a socket without a port has %s", unbound)
	}
	c.put(addrData, "text")
	v, n := c.vec(4)
	ptr, port = c.address(at, 4)
	c.want(nil, "sock_send_to", client, v, n, ptr, port, 0, addrSize)
	v, n = c.vec(2)
	c.address("127.0.0.1:0", 4)
	c.want(nil, "sock_recv_from_v1", server, v, n, addrAddress, 0, addrSize, addrSize+4)
	if got := string(c.mem[addrData : addrData+2]); got != "te" || c.mem[addrSize+4] != recvTruncated || net.IP(c.mem[addrBytes:addrBytes+4]).String() != "127.0.0.1" {
		t.Errorf("received %q, flags %d", got, c.mem[addrSize+4])
	}
	ptr, port = c.address(at, 4)
	c.want(nil, "sock_connect", client, ptr, port)
	c.write(client, "more")
	if got := c.read(server, 10); got != "more" {
		t.Errorf("received %q", got)
	}
	c.want(nil, "fd_fdstat_get", client, addrData)
	if kind := filetype(c.mem[addrData]); kind != typeSocketDgram {
		t.Errorf("its type is %d", kind)
	}
	c.want(ErrnoNotsup, "sock_listen", client, 1)
	c.want(ErrnoNotsup, "sock_accept", client, 0, addrResult)
	c.want(ErrnoNotsup, "sock_shutdown", client, shutWrite)
	c.want(nil, "fd_fdstat_set_flags", server, flagNonblock)
	v, n = c.vec(2)
	c.want(ErrnoAgain, "sock_recv", server, v, n, 0, addrSize, addrSize+4)
}

// TestSocketsOfLiars has pointers, lengths and numbers that are wrong.
func TestSocketsOfLiars(t *testing.T) {
	c := networked(t, &testnetwork.Network{})
	fd := c.socket(familyIPv4, socketStream)
	end := uint64(len(c.mem))
	c.want(ErrnoFault, "sock_open", familyIPv4, socketStream, end-3)
	c.want(ErrnoAfnosupport, "sock_open", 3, socketStream, addrResult)
	c.want(ErrnoInval, "sock_open", familyIPv4, 3, addrResult)
	for _, ptr := range []uint64{end - 7, end, 1<<32 - 1} {
		c.want(ErrnoFault, "sock_bind", fd, ptr, 0)
		c.want(ErrnoFault, "sock_connect", fd, ptr, 1)
		c.want(ErrnoFault, "sock_getlocaladdr_v2", fd, ptr, addrPort)
	}
	for _, n := range []uint32{0, 3, 5, 15, 127, 129} {
		c.address("127.0.0.1:80", 4)
		binary.LittleEndian.PutUint32(c.mem[addrAddress+4:], n)
		c.want(ErrnoInval, "sock_connect", fd, addrAddress, 80)
	}
	binary.LittleEndian.PutUint32(c.mem[addrAddress+4:], 1<<32-1)
	c.want(ErrnoFault, "sock_connect", fd, addrAddress, 80)
	c.address("127.0.0.1:80", storageSize)
	c.mem[addrBytes] = 9
	c.want(ErrnoAfnosupport, "sock_connect", fd, addrAddress, 80)
	ptr, _ := c.address("127.0.0.1:80", 4)
	c.want(ErrnoInval, "sock_connect", fd, ptr, 1<<16)
	c.want(ErrnoInval, "sock_connect", fd, ptr, 0)
	c.address("[::1]:80", 16)
	c.want(ErrnoAfnosupport, "sock_connect", fd, addrAddress, 80)
	c.want(ErrnoBadf, "sock_connect", 3, addrAddress, 80)
	c.want(ErrnoNotsock, "sock_connect", 1, addrAddress, 80)
	v, n := c.vec(1)
	c.want(ErrnoNotconn, "sock_recv", fd, v, n, 0, addrSize, addrSize+4)
	c.want(ErrnoNotconn, "sock_send", fd, v, n, 0, addrSize)
	c.address("127.0.0.1:80", storageSize)
	c.want(ErrnoNotconn, "sock_getpeeraddr_v2", fd, addrAddress, addrPort)
	c.want(nil, "fd_fdstat_set_rights", fd, rightFDRead, 0)
	c.want(ErrnoNotcapable, "sock_send", fd, v, n, 0, addrSize)
}

// TestNetworkRefusesSockets: what is denied has a number that says so.
func TestNetworkRefusesSockets(t *testing.T) {
	newCaller(t, wasi.Config{}).want(ErrnoAcces, "sock_open", familyIPv4, socketStream, addrResult)
	c := networked(t, &testnetwork.Network{
		OnConnect: func(runtime.Protocol, netip.AddrPort) (wasi.Route, error) { return wasi.Route{}, wasi.ErrAccess },
		OnLookup:  func(context.Context, string) ([]netip.Addr, error) { return nil, wasi.ErrAccess },
	})
	ptr, port := c.address("127.0.0.1:80", 4)
	c.want(ErrnoAcces, "sock_connect", c.socket(familyIPv4, socketStream), ptr, port)
	v, n := c.vec(1)
	c.want(ErrnoAcces, "sock_send_to", c.socket(familyIPv4, socketDatagram), v, n, ptr, port, 0, addrSize)
	if _, err := c.resolve("name", "80", familyAny, 2, dataIPv6); err != ErrnoAcces {
		t.Errorf("a lookup: %v", err)
	}
}

const addrInfos = 0x2000 // addrinfos, each with its sockaddr and buffer after it

// resolve looks up a name, with room for some results of a size, and returns them.
func (c *caller) resolve(node, service string, family uint8, most, size int) (found []string, err error) {
	c.t.Helper()
	const each = addrinfoSize + sockaddrSize + 32
	le := binary.LittleEndian
	for i := range most {
		info := c.mem[addrInfos+i*each:]
		clear(info[:each])
		le.PutUint32(info[12:], uint32(addrInfos+i*each+addrinfoSize))
		if i+1 < most {
			le.PutUint32(info[24:], uint32(addrInfos+(i+1)*each))
		}
		le.PutUint32(info[addrinfoSize+4:], uint32(size))
		le.PutUint32(info[addrinfoSize+8:], uint32(addrInfos+i*each+addrinfoSize+sockaddrSize))
	}
	clear(c.mem[addrAddress : addrAddress+addrinfoSize])
	c.mem[addrAddress+2] = family
	le.PutUint32(c.mem[addrPort:], addrInfos)
	n, nodeSize := c.put(addrPath, node)
	s, serviceSize := c.put(addrPath2, service)
	if err := c.call("sock_getaddrinfo", n, nodeSize, s, serviceSize, addrAddress, addrPort, uint64(most), addrSize); err != nil {
		return nil, err
	}
	for i := range int(c.u32(addrSize)) {
		info := c.mem[addrInfos+i*each:]
		data := info[addrinfoSize+sockaddrSize:]
		ip := netip.AddrFrom4([4]byte(data[2:6]))
		if info[2] == familyIPv6 {
			ip = netip.AddrFrom16([16]byte(data[6:22]))
		}
		found = append(found, netip.AddrPortFrom(ip, binary.BigEndian.Uint16(data)).String())
	}
	return found, nil
}

func TestAddrinfo(t *testing.T) {
	answers := map[string]error{"none\x00": nil, "none": wasi.ErrNotExist, "silent": wasi.ErrWouldBlock, "broken": wasi.ErrIO}
	c := networked(t, &testnetwork.Network{OnLookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
		if name == "slow" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.2")}, answers[name]
	}})
	for _, test := range []struct {
		node, service string
		family        uint8
		most, size    int
		want          []string
		err           error
	}{
		{"name\x00", "80\x00", familyAny, 5, dataIPv6, []string{"192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.2:80"}, nil},
		{"name", "https", familyAny, 2, dataIPv6, []string{"192.0.2.1:443", "[2001:db8::1]:443"}, nil},
		{"name", "", familyIPv6, 5, dataIPv6, []string{"[2001:db8::1]:0"}, nil},
		{"name", "80", familyAny, 5, dataIPv4, []string{"192.0.2.1:80", "192.0.2.2:80"}, nil}, // there is no room for the other one
		{"name", "80", familyAny, 5, dataIPv4 - 1, nil, ErrnoAinoname},
		{"::1", "80", familyAny, 1, dataIPv6, []string{"[::1]:80"}, nil},
		{"", "80", familyIPv4, 1, dataIPv6, []string{"127.0.0.1:80"}, nil},
		{"", "", familyAny, 1, dataIPv6, nil, ErrnoAinoname},
		{"name", "x", familyAny, 1, dataIPv6, nil, ErrnoAiservice},
		{"name", "65536", familyAny, 1, dataIPv6, nil, ErrnoAiservice},
		{"name", "80", 3, 1, dataIPv6, nil, ErrnoAifamily},
		{"na\x00me", "80", familyAny, 1, dataIPv6, nil, ErrnoInval},
		{"none", "80", familyAny, 1, dataIPv6, nil, ErrnoAinoname},
		{"silent", "80", familyAny, 1, dataIPv6, nil, ErrnoAiagain},
		{"broken", "80", familyAny, 1, dataIPv6, nil, ErrnoAifail},
	} {
		found, err := c.resolve(test.node, test.service, test.family, test.most, test.size)
		if !errors.Is(err, test.err) && err != test.err || len(found) != len(test.want) {
			t.Errorf("%q %q: %v, %v, want %v, %v", test.node, test.service, found, err, test.want, test.err)
			continue
		}
		for i := range found {
			if found[i] != test.want[i] {
				t.Errorf("%q %q: %v, want %v", test.node, test.service, found, test.want)
			}
		}
	}
	// A list that leads outside of the memory, and one that leads back to itself.
	end := uint32(len(c.mem))
	for _, next := range []uint32{end, addrInfos} {
		_, _ = c.resolve("name", "80", familyAny, 1, dataIPv6)
		binary.LittleEndian.PutUint32(c.mem[addrInfos+24:], next)
		n, size := c.put(addrPath, "name")
		err := c.call("sock_getaddrinfo", n, size, addrPath2, 0, addrAddress, addrPort, 1<<32-1, addrSize)
		if next == end && err != ErrnoFault || next != end && err != nil {
			t.Errorf("a list to %#x: %v", next, err)
		}
	}
	ctx, kill := context.WithCancel(t.Context())
	c.ctx = ctx
	time.AfterFunc(20*time.Millisecond, kill)
	if _, err := c.resolve("slow", "80", familyAny, 1, dataIPv6); err != wasi.ErrKilled {
		t.Errorf("a lookup of a guest that is killed: %v", err)
	}
}
