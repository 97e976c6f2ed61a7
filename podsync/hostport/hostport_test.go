package hostport

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
	"golang.org/x/sys/unix"
)

const number = 18080

// loopback is an address that no other test uses.
func loopback() netip.Addr {
	var b [3]byte
	_, _ = rand.Read(b[:])
	return netip.AddrFrom4([4]byte{127, 64 | b[0]&63, b[1], 1 + b[2]%250})
}

// machine is a Node of a machine with these addresses. It ends with the test.
func machine(t *testing.T, connections int, addresses ...netip.Addr) *Node {
	t.Helper()
	n := newNode(func() ([]netip.Addr, error) { return slices.Clone(addresses), nil }, connections, zaptest.NewLogger(t))
	var running sync.WaitGroup
	running.Go(func() { n.Run(t.Context()) })
	t.Cleanup(running.Wait) // the context ends before this runs
	return n
}

// server is a pod that handles each connection with the function each.
func server(t *testing.T, at netip.AddrPort, each func(*net.TCPConn)) {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			conn, err := l.AcceptTCP()
			if err != nil {
				return
			}
			tasks.Go(func() {
				defer conn.Close()
				each(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		tasks.Wait()
	})
}

func echo(conn *net.TCPConn) { _, _ = io.Copy(conn, conn) }

// dial connects, and sets a deadline for the connection.
func dial(t *testing.T, at netip.AddrPort) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// opened makes a node listen for one pod and returns the address.
func opened(t *testing.T, n *Node, to netip.AddrPort) netip.AddrPort {
	t.Helper()
	at := netip.AddrPortFrom(loopback(), number)
	if err := n.Open("u", []Port{{Address: at.Addr(), Number: number, To: []netip.AddrPort{to}}}); err != nil {
		t.Fatal(err)
	}
	return at
}

func says(t *testing.T, conn *net.TCPConn, what string) {
	t.Helper()
	if _, err := io.WriteString(conn, what); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(what))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != what {
		t.Fatalf("%q comes back as %q, %v", what, got, err)
	}
}

// TestBothWays: much data flows in both directions at the same time. Each direction ends by itself:
// a client that has sent everything still receives everything that the pod sends.
func TestBothWays(t *testing.T) {
	random := func(size int) []byte {
		b := make([]byte, size)
		_, _ = rand.Read(b)
		return b
	}
	for name, sizes := range map[string][2]int{"nothing": {0, 0}, "little": {1, 3}, "up": {8 << 20, 1}, "down": {1, 8 << 20}, "both": {10 << 20, 10 << 20}} {
		for _, inTurn := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s in turn %v", name, inTurn), func(t *testing.T) {
				up, down := random(sizes[0]), random(sizes[1])
				pod := netip.AddrPortFrom(loopback(), 80+number)
				heard := make(chan [32]byte, 1)
				server(t, pod, func(conn *net.TCPConn) {
					say := func() {
						_, _ = conn.Write(down)
						_ = conn.CloseWrite()
					}
					var saying sync.WaitGroup
					if !inTurn {
						saying.Go(say)
					}
					sum := sha256.New()
					_, err := io.Copy(sum, conn)
					if err != nil {
						t.Error(err)
					}
					heard <- [32]byte(sum.Sum(nil))
					if inTurn {
						say()
					}
					saying.Wait()
				})
				conn := dial(t, opened(t, machine(t, 80), pod))
				var saying sync.WaitGroup
				saying.Go(func() {
					_, err := conn.Write(up)
					if err = errors.Join(err, conn.CloseWrite()); err != nil {
						t.Error(err)
					}
				})
				got, err := io.ReadAll(conn)
				saying.Wait()
				if err != nil || !bytes.Equal(got, down) || <-heard != sha256.Sum256(up) {
					t.Errorf("%d bytes of %d come back, or what was sent came otherwise: %v", len(got), len(down), err)
				}
			})
		}
	}
}

func TestManyConnections(t *testing.T) {
	pod := netip.AddrPortFrom(loopback(), 80+number)
	server(t, pod, echo)
	at := opened(t, machine(t, 4000), pod)
	var conns []*net.TCPConn
	for range 300 {
		conns = append(conns, dial(t, at))
	}
	for i, conn := range conns {
		says(t, conn, fmt.Sprint("hello ", i))
	}
	for i, conn := range conns {
		says(t, conn, fmt.Sprint("again ", i))
	}
}

// TestNobodyAccepts: the connection is reset, as at a closed port. Each new connection tries the
// pod again.
func TestNobodyAccepts(t *testing.T) {
	pod := netip.AddrPortFrom(loopback(), 80+number)
	at := opened(t, machine(t, 80), pod)
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("before the pod listens: %v", err)
	}
	server(t, pod, echo)
	says(t, dial(t, at), "hello")
}

// TestResetsPassOn: a reset at one end reaches the other end as a reset, not as a regular end.
func TestResetsPassOn(t *testing.T) {
	pod, saw := netip.AddrPortFrom(loopback(), 80+number), make(chan error, 1)
	server(t, pod, func(conn *net.TCPConn) {
		what := make([]byte, 1)
		_, err := conn.Read(what)
		if what[0] == 'r' {
			reset(conn)
			return
		}
		if err == nil {
			_, err = conn.Read(what)
		}
		saw <- err
	})
	at := opened(t, machine(t, 80), pod)
	conn := dial(t, at)
	if _, err := io.WriteString(conn, "r"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a client sees the pod's reset as %v", err)
	}
	conn = dial(t, at)
	if _, err := io.WriteString(conn, "x"); err != nil {
		t.Fatal(err)
	}
	reset(conn)
	if err := <-saw; !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the pod sees a client's reset as %v", err)
	}
}

// TestPortInUse: the node listens at all ports or at none. The error names the port and the cause.
// Once the other listener is closed, there is no error.
func TestPortInUse(t *testing.T) {
	n, a := machine(t, 80), loopback()
	pod := netip.AddrPortFrom(loopback(), 80+number)
	server(t, pod, echo)
	other, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, number)))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	to := []netip.AddrPort{pod}
	ports := []Port{{a, number + 1, to}, {a, number, to}, {a, number + 2, to}}
	err = n.Open("u", ports)
	if want := fmt.Sprintf("hostPort %d: listen tcp %v:%d: bind: address already in use", number, a, number); err == nil || err.Error() != want {
		t.Fatalf("%v, want %s", err, want)
	}
	if err := n.Open("v", []Port{ports[0], ports[2]}); err != nil {
		t.Errorf("what was free is not: %v", err)
	}
	n.Close("v")
	_ = other.Close()
	if err := n.Open("u", ports); err != nil {
		t.Fatal(err)
	}
	for _, port := range ports {
		says(t, dial(t, netip.AddrPortFrom(a, port.Number)), "hello")
	}
	if err := n.Open("v", ports[:1]); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("another pod has the port, too: %v", err)
	}
	if err := n.Open("u", ports); err != nil {
		t.Errorf("the same pod does not: %v", err)
	}
}

// TestNoSuchAddress: if a port names an address that the machine does not have, that is an error. A
// port without an address ignores missing addresses.
func TestNoSuchAddress(t *testing.T) {
	a, elsewhere := loopback(), netip.MustParseAddr("192.0.2.1")
	n, to := machine(t, 80, elsewhere, a), []netip.AddrPort{netip.AddrPortFrom(loopback(), 80)}
	if err := n.Open("u", []Port{{elsewhere, number, to}}); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Error(err)
	}
	if err := n.Open("u", []Port{{netip.Addr{}, number, to}}); err != nil {
		t.Error(err)
	}
	if open := n.listening("u"); !slices.Equal(open, []string{a.String()}) {
		t.Errorf("open are %v", open)
	}
}

// listening are the addresses at which the node listens for a pod.
func (n *Node) listening(pod string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := []string{}
	for at := range n.pods[pod].open {
		all = append(all, at.Addr().String())
	}
	slices.Sort(all)
	return all
}

// TestEverywhere: a port without an address, or with 0.0.0.0 or ::, stands for several addresses.
// The pod listens at the same number, as most pods do.
func TestEverywhere(t *testing.T) {
	pod, own, a, b := loopback(), loopback(), loopback(), loopback()
	n := machine(t, 80, a, own, b)
	// The second one is the node's own address.
	to := []netip.AddrPort{netip.AddrPortFrom(pod, number), netip.AddrPortFrom(own, number)}
	for _, at := range to {
		server(t, at, echo)
	}
	has := func(addresses ...netip.Addr) {
		t.Helper()
		var want []string
		for _, a := range addresses {
			want = append(want, a.String())
		}
		slices.Sort(want)
		if got := n.listening("u"); !slices.Equal(got, want) {
			t.Errorf("open are %v, want %v", got, want)
		}
	}
	for name, tt := range map[string]struct {
		ports []string
		want  []netip.Addr
	}{
		"no address":     {[]string{""}, []netip.Addr{a, b}},
		"all of IPv4":    {[]string{"0.0.0.0"}, []netip.Addr{a, b}},
		"all of IPv6":    {[]string{"::"}, nil},
		"all and one":    {[]string{"0.0.0.0", b.String()}, []netip.Addr{a, b}},
		"one of several": {[]string{b.String()}, []netip.Addr{b}},
	} {
		t.Run(name, func(t *testing.T) {
			var ports []Port
			for _, p := range tt.ports {
				address, _ := netip.ParseAddr(p)
				ports = append(ports, Port{address, number, to})
			}
			if err := n.Open("u", ports); err != nil {
				t.Fatal(err)
			}
			has(tt.want...)
			for _, at := range tt.want {
				says(t, dial(t, netip.AddrPortFrom(at, number)), "hello")
			}
		})
	}
}

// TestTargets: a connection leads to the pod's address of the same family, if there is one.
func TestTargets(t *testing.T) {
	four, six := netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("[fd00::1]:80")
	for _, tt := range []struct {
		at   string
		to   []netip.AddrPort
		want netip.AddrPort
	}{
		{"127.0.0.1", []netip.AddrPort{six, four}, four},
		{"::1", []netip.AddrPort{four, six}, six},
		{"::1", []netip.AddrPort{four}, four},
		{"127.0.0.1", []netip.AddrPort{six}, six},
	} {
		if got := (Port{To: tt.to}).target(netip.MustParseAddr(tt.at)); got != tt.want {
			t.Errorf("from %s to %v of %v", tt.at, got, tt.to)
		}
	}
}

// TestLastWords: when a pod is closed, its port is free at once. The data that the pod sent last
// still arrives. Connections that do not end by themselves are closed.
func TestLastWords(t *testing.T) {
	n, pod := machine(t, 80), netip.AddrPortFrom(loopback(), 80+number)
	said, last := make(chan struct{}), strings.Repeat("bye", 1<<20)
	server(t, pod, func(conn *net.TCPConn) {
		what := make([]byte, 1)
		if _, err := conn.Read(what); err == nil && what[0] == 'l' {
			close(said)
			_, _ = io.WriteString(conn, last)
			return
		}
		_, _ = io.Copy(io.Discard, conn)
	})
	at := opened(t, n, pod)
	idle, talking := dial(t, at), dial(t, at)
	for conn, what := range map[*net.TCPConn]string{idle: "i", talking: "l"} {
		if _, err := io.WriteString(conn, what); err != nil {
			t.Fatal(err)
		}
	}
	<-said
	n.Close("u")
	next, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	defer next.Close()
	if got, err := io.ReadAll(talking); err != nil || string(got) != last {
		t.Errorf("%d bytes of %d, %v", len(got), len(last), err)
	}
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a connection that does not end: %v", err)
	}
}

// TestBounds: a connection beyond the bound waits until another one ends. Other pods still have
// free connections.
func TestBounds(t *testing.T) {
	// Two connections for each pod.
	n, pod := machine(t, 2*podShare), netip.AddrPortFrom(loopback(), 80+number)
	server(t, pod, echo)
	at := opened(t, n, pod)
	first, second, third := dial(t, at), dial(t, at), dial(t, at)
	says(t, first, "one")
	says(t, second, "two")
	if _, err := io.WriteString(third, "three"); err != nil {
		t.Fatal(err)
	}
	other := netip.AddrPortFrom(loopback(), number)
	if err := n.Open("v", []Port{{other.Addr(), number, []netip.AddrPort{pod}}}); err != nil {
		t.Fatal(err)
	}
	says(t, dial(t, other), "other")
	if err := third.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := third.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one too many reads %d bytes, %v", n, err)
	}
	_ = first.Close()
	if err := third.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(third, got); err != nil || string(got) != "three" {
		t.Errorf("with a free place: %q %v", got, err)
	}
}

// TestEnd: a Node that has ended has nothing open, and opens nothing more.
func TestEnd(t *testing.T) {
	pod := netip.AddrPortFrom(loopback(), 80+number)
	server(t, pod, echo)
	n := newNode(nil, 80, zaptest.NewLogger(t))
	at := opened(t, n, pod)
	conn := dial(t, at)
	says(t, conn, "hello")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	n.Run(ended)
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Error(err)
	}
	if _, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at)); !errors.Is(err, unix.ECONNREFUSED) {
		t.Error(err)
	}
	if err := n.Open("v", nil); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
}

// TestBoundsOfPorts: if clients take all connections of one port, the pod's other ports still have
// some.
func TestBoundsOfPorts(t *testing.T) {
	// Four connections for each pod, two for each port.
	n, pod := machine(t, 4*podShare), netip.AddrPortFrom(loopback(), 80+number)
	server(t, pod, echo)
	at := loopback()
	to := []netip.AddrPort{pod}
	if err := n.Open("u", []Port{{at, number, to}, {at, number + 1, to}}); err != nil {
		t.Fatal(err)
	}
	first, other := netip.AddrPortFrom(at, number), netip.AddrPortFrom(at, number+1)
	for range 2 {
		says(t, dial(t, first), "taken")
	}
	waits := dial(t, first)
	if _, err := io.WriteString(waits, "waits"); err != nil {
		t.Fatal(err)
	}
	says(t, dial(t, other), "other")
	if err := waits.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := waits.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one too many of a port reads %d bytes, %v", n, err)
	}
}
