package wasmtime

import (
	"errors"
	"io"
	"net"
	"strconv"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// BenchmarkStream moves bytes over loopback in pieces of 64 KiB to a Go program: from another Go
// program, and from a guest.
func BenchmarkStream(b *testing.B) {
	const piece = 64 << 10
	sink := func(b *testing.B, send func(address string)) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		b.SetBytes(piece)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			send(l.Addr().String())
		}()
		c, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		buffer, got := make([]byte, 256<<10), 0
		for {
			n, err := c.Read(buffer)
			got += n
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		_ = c.Close()
		<-sent
		if got != b.N*piece {
			b.Errorf("%d bytes came, want %d", got, b.N*piece)
		}
	}
	b.Run("native", func(b *testing.B) {
		sink(b, func(address string) {
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			text := make([]byte, piece)
			for range b.N {
				if _, err := c.Write(text); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("guest", func(b *testing.B) {
		e, file := newEngine(b), guests.Build(b, "kitchen")
		sink(b, func(address string) {
			r, err := tryStart(b, e, file, runtime.Spec{
				Network: runtime.Network{Own: true, Egress: runtime.Egress{Allow: "*"}},
				Command: runtime.Command{Args: []string{"kitchen", "stream", address, strconv.Itoa(b.N * piece)}},
			})
			if err != nil {
				b.Error(err)
				return
			}
			if exit := r.wait(); exit.Code != 0 {
				b.Errorf("exit %+v", exit)
			}
		})
	})
}
