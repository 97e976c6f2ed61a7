package testnetwork

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Sealed makes networks for guests that do anything: they bind to loopback addresses only, and all
// their connections and datagrams go to servers of the test, which send them back.
func Sealed(t testing.TB) func() *Network {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := config.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var servers sync.WaitGroup
	servers.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			servers.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	servers.Go(func() {
		b := make([]byte, 1500)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = u.WriteTo(b[:n], from)
		}
	})
	t.Cleanup(func() {
		_, _ = l.Close(), u.Close()
		servers.Wait()
	})
	tcp, udp := l.Addr().(*net.TCPAddr).AddrPort(), u.LocalAddr().(*net.UDPAddr).AddrPort()
	return func() *Network {
		return &Network{
			OnBind: func(_ runtime.Protocol, a netip.AddrPort, _ bool) (netip.AddrPort, error) {
				if a.Addr().Is4() {
					return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), nil
				}
				return netip.AddrPortFrom(netip.IPv6Loopback(), 0), nil
			},
			OnConnect: func(p runtime.Protocol, a netip.AddrPort) (wasi.Route, error) {
				switch {
				case a.Addr().Is6():
					return wasi.Route{}, wasi.ErrNetworkUnreachable
				case p == runtime.UDP:
					return wasi.Route{To: udp}, nil
				}
				return wasi.Route{To: tcp}, nil
			},
		}
	}
}
