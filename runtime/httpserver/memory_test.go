package httpserver

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// purse is the memory of a guest.
type purse struct{ left atomic.Int64 }

func (p *purse) Take(n int) bool {
	for {
		left := p.left.Load()
		if left < int64(n) {
			return false
		}
		if p.left.CompareAndSwap(left, left-int64(n)) {
			return true
		}
	}
}

func (p *purse) Give(n int) { p.left.Add(int64(n)) }

// poorSite is a site whose guest has so much memory.
func poorSite(t *testing.T, memory int64, handler http.HandlerFunc) (*site, *purse) {
	t.Helper()
	p := &purse{}
	p.left.Store(memory)
	s := newSiteWith(t, runtime.HTTP{}, p, handler)
	t.Cleanup(func() {
		s.Close()
		if left := p.left.Load(); left != memory {
			t.Errorf("%d bytes are left of %d", left, memory)
		}
	})
	return s, p
}

// TestConnectionsTakeMemory has more connections than there is memory for. Those that rest make
// room for a client that asks.
func TestConnectionsTakeMemory(t *testing.T) {
	s, _ := poorSite(t, 20*connCost, func(http.ResponseWriter, *http.Request) {})
	for range 40 {
		c := s.dial(t, false)
		defer func() { _ = c.Close() }()
	}
	eventually.True(t, "a client is answered", func() bool {
		return strings.HasPrefix(s.raw(t, false, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "HTTP/1.1 200")
	})
	if n := s.Stats().Open; n > 20 {
		t.Errorf("%d connections are open", n)
	}
}

// TestHeadsTakeMemory has heads that do not end: large fields, many small ones, and a large line.
func TestHeadsTakeMemory(t *testing.T) {
	for name, fields := range map[string]string{
		"large fields": strings.Repeat("a: "+strings.Repeat("b", 1000)+"\r\n", 40),
		"small fields": strings.Repeat("a:b\r\n", 4000),
		"a large line": "a: " + strings.Repeat("b", 40000),
	} {
		const memory = 2 << 20
		s, p := poorSite(t, memory, func(http.ResponseWriter, *http.Request) {})
		const clients = 40
		var conns [clients]net.Conn
		for i := range conns {
			conns[i] = s.dial(t, false)
			defer func() { _ = conns[i].Close() }()
			_, _ = io.WriteString(conns[i], "GET / HTTP/1.1\r\nHost: a\r\n"+fields) // it may be reset
		}
		eventually.True(t, name+": there is no memory, and clients are refused", func() bool {
			return p.left.Load() < memory/4 && s.said.has(texts[sayMemory])
		})
		for _, c := range conns {
			_ = c.Close()
		}
		eventually.True(t, name+": all memory is given back", func() bool { return p.left.Load() == memory })
	}
}

// TestRequestsTakeMemory has requests with large heads under way, of HTTP/1 and HTTP/2.
func TestRequestsTakeMemory(t *testing.T) {
	const memory = 1 << 20
	block := make(chan struct{})
	s, p := poorSite(t, memory, func(http.ResponseWriter, *http.Request) { <-block })
	value := strings.Repeat("b", 15000)
	f := s.framer(t)
	defer func() { _ = f.conn.Close() }()
	block64 := func() []byte {
		return f.block(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "x", value, "y", value, "z", value)
	}
	refused := make(chan bool, 1)
	go func() {
		refused <- !f.frames(func(frame http2.Frame) bool {
			_, ok := frame.(*http2.HeadersFrame)
			return ok
		})
	}()
	for id := uint32(1); id < 60; id += 2 {
		b := block64()
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b[:min(len(b), 16000)], EndHeaders: len(b) <= 16000, EndStream: true})
		for at := 16000; at < len(b); at += 16000 {
			_ = f.WriteContinuation(id, at+16000 >= len(b), b[at:min(len(b), at+16000)])
		}
	}
	if !<-refused {
		t.Error("no request is refused")
	}
	if got := s.raw(t, false, "GET / HTTP/1.1\r\nHost: a\r\na: "+strings.Repeat("b", 50000)+"\r\n\r\n"); strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("a large head is answered %.60q", got)
	}
	close(block)
	_ = f.conn.Close()
	eventually.True(t, "all memory is given back", func() bool { return p.left.Load() == memory })
}

// TestUploadsTakeMemory has bodies of HTTP/2 that are not read.
func TestUploadsTakeMemory(t *testing.T) {
	const each = connCost + twoCost
	block := make(chan struct{})
	s, p := poorSite(t, 2*buffer+3*each, func(http.ResponseWriter, *http.Request) { <-block })
	post := func() *framer {
		f := s.framer(t)
		t.Cleanup(func() { _ = f.conn.Close() })
		head := f.block(":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a")
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head, EndHeaders: true})
		return f
	}
	for i := range int64(2) {
		post()
		eventually.True(t, "a body takes memory", func() bool { return p.left.Load() == (1-i)*buffer+(2-i)*each })
	}
	answered := !post().frames(func(frame http2.Frame) bool {
		_, ok := frame.(*http2.HeadersFrame)
		return ok
	})
	if !answered || s.handled.Load() != 2 {
		t.Errorf("there are %d requests under way, and a third one is answered: %v", s.handled.Load(), answered)
	}
	close(block)
}
