package wasmtime

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
	"github.com/krustlet-go/krustlet-wasi/podsync/address"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// servers are a server of TCP and one of UDP, which send back what they get. from is who has
// connected last.
type servers struct {
	tcp *net.TCPListener
	udp *net.UDPConn

	mu   sync.Mutex
	from netip.Addr
}

func newServers(t testing.TB, ip net.IP) *servers {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip})
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip})
	if err != nil {
		t.Fatal(err)
	}
	s := &servers{tcp: l, udp: u}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			s.saw(c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr())
			all.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	all.Go(func() {
		b := make([]byte, 1500)
		for {
			n, from, err := u.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			s.saw(from.Addr().Unmap())
			_, _ = u.WriteToUDPAddrPort(b[:n], from)
		}
	})
	t.Cleanup(func() {
		_, _ = l.Close(), u.Close()
		all.Wait()
	})
	return s
}

func (s *servers) saw(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = from
}

func (s *servers) last() netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from
}

// TestModulesConnect has a program in Go, of preview 1, connect, send datagrams and look up names.
func TestModulesConnect(t *testing.T) {
	connects(t, newServers(t, net.IPv4(127, 0, 0, 2)), runtime.Network{Own: true}, "127.0.0.1")
}

// TestModulesConnectFromPods has it do so from its pod's address.
func TestModulesConnectFromPods(t *testing.T) {
	if !ownnetwork.Enter(t) {
		return
	}
	if err := address.MakeLocal(netip.MustParsePrefix("10.9.8.0/24")); err != nil {
		t.Fatal(err)
	}
	connects(t, newServers(t, net.IPv4(10, 9, 8, 2)), runtime.Network{Own: true, Addresses: []netip.Addr{netip.MustParseAddr("10.9.8.7")}}, "10.9.8.7")
}

// connects has a guest do all that it can do with servers, which see it come from an address.
func connects(t *testing.T, s *servers, network runtime.Network, from string) {
	t.Helper()
	e := newEngine(t)
	network.Egress.Allow = "*"
	tcp, udp := s.tcp.Addr().String(), s.udp.LocalAddr().String()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"dial", "tcp", tcp, "hello"}, "from " + from + ":PORT to " + tcp + "\nhello"},
		{[]string{"dial", "udp", udp, "hello"}, "from " + from + ":PORT to " + udp + "\nhello\n"},
		{[]string{"datagram", udp, "hello"}, "hello from " + udp + "\n"},
		{[]string{"lookup", "127.0.0.2", "::1"}, "127.0.0.2 [127.0.0.2]\n::1 [::1]\n"},
	} {
		r := start(t, e, guests.Build(t, "kitchen"), runtime.Spec{Network: network, Command: runtime.Command{Args: append([]string{"kitchen"}, c.args...)}})
		exit := r.wait()
		out, errs := r.screen.text()
		if got := withoutPort(out, from); exit.Code != 0 || got != c.want {
			t.Errorf("%v: exit %+v, output %q, %s; want %q", c.args, exit, got, errs, c.want)
		}
		if c.args[0] != "lookup" && s.last().String() != from {
			t.Errorf("%v came from %s", c.args, s.last())
		}
	}
}

// withoutPort replaces the port that the kernel chose.
func withoutPort(text, ip string) string {
	before, after, found := strings.Cut(text, "from "+ip+":")
	if !found {
		return text
	}
	_, rest, _ := strings.Cut(after, " ")
	return before + "from " + ip + ":PORT " + rest
}

// TestModulesAreRefused: without egress a program connects to nothing, and is told so.
func TestModulesAreRefused(t *testing.T) {
	e, s := newEngine(t), newServers(t, net.IPv4(127, 0, 0, 2))
	for _, args := range [][]string{
		{"dial", "tcp", s.tcp.Addr().String(), "hello"}, {"dial", "udp", s.udp.LocalAddr().String(), "hello"}, {"datagram", s.udp.LocalAddr().String(), "hello"},
	} {
		r := start(t, e, guests.Build(t, "kitchen"), runtime.Spec{Command: runtime.Command{Args: append([]string{"kitchen"}, args...)}})
		exit := r.wait()
		if _, errs := r.screen.text(); exit.Code != 1 || !strings.Contains(errs, "Permission denied") {
			t.Errorf("%v: exit %+v, %s", args, exit, errs)
		}
	}
	if s.last().IsValid() {
		t.Errorf("%s has connected", s.last())
	}
}

// TestModulesListen has a program make a listening socket at its pod's address.
func TestModulesListen(t *testing.T) {
	e := newEngine(t)
	own := runtime.Network{Own: true, Addresses: []netip.Addr{netip.MustParseAddr("127.9.8.6")}}
	r := start(t, e, guests.Build(t, "kitchen"), runtime.Spec{Network: own, Command: runtime.Command{Args: []string{"kitchen", "listen", "0.0.0.0:0"}}})
	r.says("\n")
	address, _ := r.screen.text()
	_, port, err := net.SplitHostPort(strings.TrimSpace(address))
	if err != nil {
		t.Fatalf("it listens at %q: %v", address, err)
	}
	c, err := net.Dial("tcp", "127.9.8.6:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprint(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
	exit := r.wait()
	if _, errs := r.screen.text(); exit.Code != 0 {
		t.Errorf("exit %+v, %s", exit, errs)
	}
}
