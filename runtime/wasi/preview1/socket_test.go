package preview1

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// listening makes a guest with one listening socket, descriptor 3, and the socket's address.
func listening(t testing.TB, cfg wasi.Config) (*caller, string) {
	t.Helper()
	l := listen(t)
	cfg.Listeners = append(cfg.Listeners, l)
	addr := l.Addr().String()
	return newCaller(t, cfg), addr
}

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// accepted accepts a connection, and returns the guest's descriptor and the peer's end.
func (c *caller) accepted(addr string, flags uint64) (uint64, *net.TCPConn) {
	c.t.Helper()
	peer := dial(c.t, addr)
	c.want(nil, "sock_accept", 3, flags, addrResult)
	return uint64(c.u32(addrResult)), peer
}

// subscribe writes subscription i: one of a descriptor, or with the tag eventClock one of a timeout
// in nanoseconds.
func (c *caller) subscribe(i int, tag byte, fd, timeout uint64) {
	b := c.mem[addrVec+i*subscriptionSize:]
	clear(b[:subscriptionSize])
	binary.LittleEndian.PutUint64(b, uint64(100+i))
	b[8] = tag
	binary.LittleEndian.PutUint32(b[16:], uint32(fd))
	if tag == eventClock {
		binary.LittleEndian.PutUint32(b[16:], clockMonotonic)
		binary.LittleEndian.PutUint64(b[24:], timeout)
	}
}

type polled struct {
	index  int
	errno  Errno
	nbytes uint64
	hangup bool
}

// events polls the first n subscriptions.
func (c *caller) events(n int) []polled {
	c.t.Helper()
	c.want(nil, "poll_oneoff", addrVec, addrData, uint64(n), addrResult)
	var all []polled
	for i := range int(c.u32(addrResult)) {
		b := c.mem[addrData+i*eventSize:]
		all = append(all, polled{
			index: int(binary.LittleEndian.Uint64(b)) - 100, errno: Errno(binary.LittleEndian.Uint16(b[8:])),
			nbytes: binary.LittleEndian.Uint64(b[16:]), hangup: b[24]&pollHangup != 0,
		})
	}
	return all
}

func TestListenersAreTold(t *testing.T) {
	a, b := listen(t), listen(t)
	c := newCaller(t, wasi.Config{Listeners: []*net.TCPListener{a, b}, Env: []string{"A=1", "LISTEN_FDS=9"}})
	c.want(nil, "environ_sizes_get", 0, 4)
	c.want(nil, "environ_get", addrPath, addrData)
	env := strings.Split(string(c.mem[addrData:addrData+c.u32(4)]), "\x00")
	_, portA, _ := net.SplitHostPort(a.Addr().String())
	_, portB, _ := net.SplitHostPort(b.Addr().String())
	if want := []string{"A=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=" + portA + ":" + portB, ""}; !slices.Equal(env, want) {
		t.Errorf("environment %q, want %q", env, want)
	}
	for fd, kind := range map[uint64]filetype{3: typeSocketStream, 4: typeSocketStream, 5: typeDirectory} {
		c.want(nil, "fd_fdstat_get", fd, addrData)
		if got := filetype(c.mem[addrData]); got != kind {
			t.Errorf("descriptor %d has type %d", fd, got)
		}
		// A libc's search for preopened directories must not end at a socket.
		c.want(nil, "fd_prestat_get", fd, addrData)
		if tag := c.mem[addrData]; (tag == 0) != (kind == typeDirectory) {
			t.Errorf("descriptor %d is preopened with tag %d", fd, tag)
		}
		c.want(nil, "fd_prestat_dir_name", fd, addrData, uint64(c.u32(addrData+4)))
	}
	c.want(ErrnoBadf, "fd_prestat_get", 6, addrData)
}

func TestConnection(t *testing.T) {
	c, addr := listening(t, wasi.Config{})
	fd, peer := c.accepted(addr, 0)
	if fd != 5 {
		t.Errorf("the connection is descriptor %d", fd)
	}
	c.want(nil, "fd_fdstat_get", fd, addrData)
	if filetype(c.mem[addrData]) != typeSocketStream {
		t.Errorf("type %d", c.mem[addrData])
	}
	if _, err := peer.Write([]byte("hello, guest")); err != nil {
		t.Fatal(err)
	}
	v, n := c.vec(5)
	recv := func(flags uint64) string {
		t.Helper()
		c.want(nil, "sock_recv", fd, v, n, flags, addrResult, 8)
		return string(c.mem[addrData : addrData+c.u32(addrResult)])
	}
	for _, step := range []struct {
		flags uint64
		want  string
	}{{recvPeek, "hello"}, {recvPeek | recvWaitAll, "hello"}, {0, "hello"}, {recvWaitAll, ", gue"}} {
		if got := recv(step.flags); got != step.want {
			t.Errorf("flags %d: %q, want %q", step.flags, got, step.want)
		}
	}
	if got := c.read(fd, 5); got != "st" {
		t.Errorf("fd_read: %q", got)
	}
	c.put(addrData, "hello, peer")
	v, n = c.vec(11)
	c.want(nil, "sock_send", fd, v, n, 0, addrResult)
	c.write(fd, "!")
	c.want(nil, "sock_shutdown", fd, shutWrite)
	if got, err := io.ReadAll(peer); string(got) != "hello, peer!" || err != nil {
		t.Errorf("the peer got %q, %v", got, err)
	}
	c.want(ErrnoPipe, "sock_send", fd, v, n, 0, addrResult)
	if _, err := peer.Write([]byte("half")); err != nil { // the other direction is open
		t.Fatal(err)
	}
	if got := c.read(fd, 10); got != "half" {
		t.Errorf("after a half close: %q", got)
	}
	_ = peer.CloseWrite()
	if got := c.read(fd, 10); got != "" {
		t.Errorf("behind the end: %q", got)
	}
	c.want(nil, "sock_recv", fd, v, n, recvWaitAll, addrResult, 8)
	c.want(nil, "fd_close", fd)
	c.want(ErrnoBadf, "sock_recv", fd, v, n, 0, addrResult, 8)
}

func TestSocketErrors(t *testing.T) {
	c, addr := listening(t, wasi.Config{MaxDescriptors: 7})
	fd, _ := c.accepted(addr, 0)
	v, n := c.vec(1)
	c.want(ErrnoNotconn, "sock_recv", 3, v, n, 0, addrResult, 8)
	c.want(ErrnoBadf, "fd_read", 3, v, n, addrResult)
	c.want(ErrnoInval, "sock_accept", fd, 0, addrResult)
	c.want(ErrnoInval, "sock_accept", 3, flagAppend, addrResult)
	c.want(ErrnoFault, "sock_accept", 3, 0, uint64(len(c.mem)))
	c.want(ErrnoInval, "sock_recv", fd, v, n, 4, addrResult, 8)
	c.want(ErrnoFault, "sock_recv", fd, v, n, 0, addrResult, uint64(len(c.mem)))
	c.want(ErrnoInval, "sock_send", fd, v, n, 1, addrResult)
	c.want(ErrnoInval, "sock_shutdown", fd, 0)
	c.want(ErrnoInval, "sock_shutdown", fd, 4)
	c.want(ErrnoSpipe, "fd_seek", fd, 0, 0, addrResult)
	c.want(ErrnoNotdir, "path_open", fd, 0, 0, 1, 0, 0, 0, 0, addrResult)
	c.want(nil, "fd_filestat_get", fd, addrData)
	if kind := filetype(c.mem[addrData+16]); kind != typeSocketStream {
		t.Errorf("type %d", kind)
	}
	c.accepted(addr, 0)
	dial(t, addr)
	c.want(ErrnoMfile, "sock_accept", 3, 0, addrResult) // the connection waits for a free descriptor
	c.want(nil, "fd_close", fd)
	c.want(nil, "sock_accept", 3, 0, addrResult)
	c.want(nil, "fd_fdstat_set_rights", fd, rightFDRead, 0)
	c.want(ErrnoNotcapable, "sock_send", fd, v, n, 0, addrResult)
	c.want(ErrnoNotcapable, "sock_shutdown", fd, shutWrite)
	c.want(nil, "fd_fdstat_set_rights", 3, 0, 0)
	c.want(ErrnoNotcapable, "sock_accept", 3, 0, addrResult)
}

// A guest that knows that its listening socket is non-blocking does not wait. A guest that does not
// know this waits.
func TestAcceptWaitsForThoseWhoDoNotAsk(t *testing.T) {
	c, addr := listening(t, wasi.Config{})
	got := make(chan *net.TCPConn)
	time.AfterFunc(20*time.Millisecond, func() { got <- dial(t, addr) })
	c.want(nil, "sock_accept", 3, 0, addrResult)
	<-got
	c.want(nil, "fd_fdstat_get", 3, addrData)
	if flags := binary.LittleEndian.Uint16(c.mem[addrData+2:]); flags != flagNonblock {
		t.Errorf("flags %b", flags)
	}
	c.want(ErrnoAgain, "sock_accept", 3, 0, addrResult)
	c.want(nil, "fd_fdstat_set_flags", 3, 0)
	time.AfterFunc(20*time.Millisecond, func() { got <- dial(t, addr) })
	c.want(nil, "sock_accept", 3, flagNonblock, addrResult)
	<-got
	v, n := c.vec(1)
	c.want(ErrnoAgain, "sock_recv", uint64(c.u32(addrResult)), v, n, 0, 8, 12)
}

func TestKillEndsSocketCalls(t *testing.T) {
	c, addr := listening(t, wasi.Config{})
	fd, _ := c.accepted(addr, 0)
	v, n := c.vec(1 << 16)
	for name, call := range map[string]func() error{
		"accept":  func() error { return c.call("sock_accept", 3, 0, addrResult) },
		"receive": func() error { return c.call("sock_recv", fd, v, n, 0, addrResult, 8) },
		"all":     func() error { return c.call("sock_recv", fd, v, n, recvPeek|recvWaitAll, addrResult, 8) },
		"read":    func() error { return c.call("fd_read", fd, v, n, addrResult) },
		"poll": func() error {
			c.subscribe(0, eventFDRead, fd, 0)
			defer c.vec(1 << 16)
			return c.call("poll_oneoff", addrVec, addrData, 1, addrResult)
		},
		"send": func() error { // to a peer that does not read
			for {
				if err := c.call("sock_send", fd, v, n, 0, addrResult); err != nil {
					return err
				}
			}
		},
	} {
		var kill context.CancelFunc
		c.ctx, kill = context.WithCancel(t.Context())
		var killed time.Time
		time.AfterFunc(20*time.Millisecond, func() { killed = time.Now(); kill() })
		if err := call(); err != wasi.ErrKilled {
			t.Errorf("%s: %v", name, err)
		}
		if late := time.Since(killed); late > 5*time.Second { // a bound for broken machines; it does not measure speed
			t.Errorf("%s ended %s after the kill", name, late)
		}
	}
}

func TestPollOfSockets(t *testing.T) {
	stdin, keyboard := io.Pipe()
	t.Cleanup(func() { _ = stdin.Close() })
	c, addr := listening(t, wasi.Config{Stdin: stdin})
	const minute = uint64(time.Minute)
	c.subscribe(0, eventFDRead, 3, 0)
	c.subscribe(1, eventFDRead, 0, 0)
	c.subscribe(2, eventClock, 0, 1)
	if got := c.events(3); len(got) != 1 || got[0].index != 2 {
		t.Errorf("nothing but time has come: %+v", got)
	}
	c.subscribe(2, eventClock, 0, minute)
	peer := dial(t, addr)
	if got := c.events(3); len(got) != 1 || got[0].index != 0 || got[0].hangup {
		t.Errorf("a connection is there: %+v", got)
	}
	c.want(nil, "sock_accept", 3, 0, addrResult)
	fd := uint64(c.u32(addrResult))
	c.subscribe(3, eventFDRead, fd, 0)
	time.AfterFunc(10*time.Millisecond, func() { _, _ = keyboard.Write([]byte("key")) })
	if got := c.events(4); len(got) != 1 || got[0].index != 1 || got[0].nbytes != 3 {
		t.Errorf("standard input: %+v", got)
	}
	if got := c.read(0, 10); got != "key" {
		t.Errorf("standard input: %q", got)
	}
	c.subscribe(0, eventFDRead, 3, 0) // the events have overwritten it
	c.subscribe(1, eventFDRead, 0, 0)
	c.subscribe(2, eventClock, 0, minute)
	c.subscribe(3, eventFDRead, fd, 0)
	time.AfterFunc(10*time.Millisecond, func() { _, _ = peer.Write([]byte("data")) })
	if got := c.events(4); len(got) != 1 || got[0].index != 3 || got[0].nbytes != 4 {
		t.Errorf("data: %+v", got)
	}
	c.subscribe(4, eventFDWrite, fd, 0)
	c.subscribe(5, eventFDWrite, 77, 0)
	if got := c.events(6); len(got) != 3 || got[1].index != 4 || got[2] != (polled{index: 5, errno: ErrnoBadf}) {
		t.Errorf("what is there at once: %+v", got)
	}
	_ = peer.SetLinger(0)
	_ = peer.Close() // a reset: everything that waits must wake up
	c.subscribe(0, eventFDWrite, fd, 0)
	if got := c.events(1); len(got) != 1 || !got[0].hangup {
		t.Errorf("a reset connection: %+v", got)
	}
}

func TestManyConnections(t *testing.T) {
	c, addr := listening(t, wasi.Config{})
	const n = 300
	var fds []uint64
	var peers []*net.TCPConn
	for range n {
		fd, peer := c.accepted(addr, flagNonblock)
		fds, peers = append(fds, fd), append(peers, peer)
	}
	for _, i := range []int{0, 7, 150, 299} {
		if _, err := peers[i].Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[int]bool{}
	for end := time.Now().Add(time.Minute); len(seen) < 4 && time.Now().Before(end); {
		for i, fd := range fds {
			c.subscribe(i, eventFDRead, fd, 0)
		}
		c.want(nil, "poll_oneoff", addrVec, 0x10000, n, addrResult)
		for i := range int(c.u32(addrResult)) {
			seen[int(binary.LittleEndian.Uint64(c.mem[0x10000+i*eventSize:]))-100] = true
		}
	}
	if len(seen) != 4 || !seen[0] || !seen[7] || !seen[150] || !seen[299] {
		t.Errorf("ready are %v", seen)
	}
}

func TestQuiesce(t *testing.T) {
	stdin, keyboard := io.Pipe()
	t.Cleanup(func() { _ = stdin.Close() })
	c, addr := listening(t, wasi.Config{Stdin: stdin})
	fd, peer := c.accepted(addr, 0)
	go func() { _, _ = keyboard.Write([]byte("typed")) }()
	c.subscribe(0, eventFDRead, 0, 0)
	if got := c.events(1); len(got) != 1 || got[0].nbytes != 5 {
		t.Fatalf("standard input: %+v", got)
	}
	c.subscribe(0, eventFDRead, 3, 0)
	time.AfterFunc(20*time.Millisecond, func() { c.g.Quiesce(); c.g.Quiesce() })
	if got := c.events(1); len(got) != 1 || !got[0].hangup {
		t.Errorf("a poll of the listening socket: %+v", got)
	}
	c.want(ErrnoInval, "sock_accept", 3, 0, addrResult)
	if got := c.read(0, 10); got != "typed" {
		t.Errorf("what was typed before: %q", got)
	}
	if got := c.read(0, 10); got != "" {
		t.Errorf("after the end: %q", got)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		_ = conn.Close()
		t.Error("a connection could still be made")
	}
	c.write(fd, "bye") // accepted connections stay open
	b := make([]byte, 3)
	if _, err := io.ReadFull(peer, b); err != nil || string(b) != "bye" {
		t.Errorf("the peer got %q, %v", b, err)
	}
}

func TestQuiesceEndsWaiting(t *testing.T) {
	stdin, _ := io.Pipe()
	t.Cleanup(func() { _ = stdin.Close() })
	c, _ := listening(t, wasi.Config{Stdin: stdin})
	time.AfterFunc(20*time.Millisecond, c.g.Quiesce)
	c.want(ErrnoInval, "sock_accept", 3, 0, addrResult)
	if got := c.read(0, 10); got != "" {
		t.Errorf("standard input: %q", got)
	}
}

func TestListenersAreClosed(t *testing.T) {
	l := listen(t)
	if _, err := New(wasi.Config{Listeners: []*net.TCPListener{l}}); err == nil {
		t.Fatal("a guest without a root was made")
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("New failed and left the socket open")
	}
	l = listen(t)
	g, err := New(wasi.Config{Listeners: []*net.TCPListener{l}, Mounts: []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	g.Quiesce()
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("the guest's end left the socket open")
	}
	if _, err := New(wasi.Config{Listeners: []*net.TCPListener{l}, Mounts: []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}}); err == nil {
		t.Error("a closed socket was taken")
	}
}
