package hostport

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"go.uber.org/zap"
)

// benched makes a pod that echoes, and a port of the node that leads to the pod.
func benched(b *testing.B) map[string]string {
	b.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(loopback(), 80+number).String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, struct{ io.Reader }{conn})
			}()
		}
	}()
	n, at := newNode(nil, 80, zap.NewNop()), netip.AddrPortFrom(loopback(), number)
	b.Cleanup(func() { n.Close("u") })
	if err := n.Open("u", []Port{{at.Addr(), number, []netip.AddrPort{netip.MustParseAddrPort(l.Addr().String())}}}); err != nil {
		b.Fatal(err)
	}
	return map[string]string{"direct": l.Addr().String(), "forwarded": at.String()}
}

// BenchmarkRoundTrip sends one byte to the pod and back, over a connection that stays open.
func BenchmarkRoundTrip(b *testing.B) {
	for name, at := range benched(b) {
		b.Run(name, func(b *testing.B) {
			conn, err := net.Dial("tcp", at)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			one := []byte{0}
			for b.Loop() {
				if _, err := conn.Write(one); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(conn, one); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkConnection opens a connection for each byte that it sends to the pod and back.
func BenchmarkConnection(b *testing.B) {
	for name, at := range benched(b) {
		b.Run(name, func(b *testing.B) {
			one := []byte{0}
			for b.Loop() {
				conn, err := net.Dial("tcp", at)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := conn.Write(one); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(conn, one); err != nil {
					b.Fatal(err)
				}
				_ = conn.Close()
			}
		})
	}
}

// BenchmarkTransfer sends in both directions, and reads both as fast as possible.
func BenchmarkTransfer(b *testing.B) {
	for name, at := range benched(b) {
		b.Run(name, func(b *testing.B) {
			conn, err := net.Dial("tcp", at)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			piece := make([]byte, 1<<20)
			b.SetBytes(int64(len(piece)))
			go func() {
				for {
					if _, err := conn.Write(piece); err != nil {
						return
					}
				}
			}()
			back := make([]byte, len(piece))
			for b.Loop() {
				if _, err := io.ReadFull(conn, back); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
