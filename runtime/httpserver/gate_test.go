package httpserver

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// gate admits clients of one address.
type gate struct {
	from netip.Addr

	mu      sync.Mutex
	watched map[netip.AddrPort]func()
}

func (g *gate) Accept(_ runtime.Protocol, _, from netip.AddrPort) error {
	if from.Addr() != g.from {
		return errors.New("not allowed")
	}
	return nil
}

func (g *gate) Watch(_ runtime.Protocol, _, remote netip.AddrPort, _ bool, cut func()) (stop func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watched[remote] = cut
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.watched, remote)
	}
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.watched)
}

// TestGate: a client that is not allowed gets a reset and no answer; a connection that is cut ends
// in the middle of an answer.
func TestGate(t *testing.T) {
	g := &gate{from: netip.MustParseAddr("127.0.0.2"), watched: map[netip.AddrPort]func(){}}
	s, err := New(Config{Gate: g, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	l := listenLoopback(t)
	s.Serve(l)
	ask := func(from string) (*bufio.Reader, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(eventually.Patience))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") // it may be reset
		return bufio.NewReader(c), nil
	}
	reader, err := ask("127.0.0.3")
	if err == nil {
		_, err = reader.ReadString('\n')
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a client that is not allowed gets %v", err)
	}
	if n := g.count(); n != 0 {
		t.Errorf("%d connections are watched", n)
	}
	if reader, err = ask("127.0.0.2"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("first"))
	if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != "first" {
		t.Errorf("the answer is %q, %v", got, err)
	}
	g.mu.Lock()
	for _, cut := range g.watched {
		go cut()
	}
	g.mu.Unlock()
	if _, err := io.ReadAll(answer.Body); err == nil {
		t.Error("the answer has a regular end, though its connection was cut")
	}
	eventually.True(t, "the watch ends", func() bool { return g.count() == 0 })
}
