package p3_test

import (
	"encoding/binary"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// httpCode is where the error code of a result of wasi:http is, from its beginning.
const httpCode = 8

const (
	denied     = int(bindings.HTTPErrorCodeHTTPRequestDenied)
	terminated = int(bindings.HTTPErrorCodeConnectionTerminated)
	internal   = int(bindings.HTTPErrorCodeInternalError)
)

// future makes a future: both ends.
func (g *guest) future(kind string) (r, w int) {
	both := uint64(g.call(kind + ".new"))
	return int(uint32(both)), int(both >> 32)
}

// message makes a request or response, with a stream or without one (0), and returns it with the
// future of its sending and the writable end of its trailers.
func (g *guest) message(kind string, stream int) (m, sent, trailers int) {
	g.t.Helper()
	r, trailers := g.future("trailer-future")
	args := with(g.call("fields"), min(stream, 1), stream, r)
	if kind == "request" {
		args = append(args, 0, 0)
	}
	g.call(kind, append(args, addrResult)...)
	m, sent = g.ends()
	return m, sent, trailers
}

// sentCode is what the future of a message says.
func (g *guest) sentCode(sent int) int {
	g.t.Helper()
	g.call("sent-future.read", sent, addrFuture)
	g.call("sent-future.drop", sent)
	return g.code(addrFuture, httpCode)
}

var messages = []string{"request", "response"}

// TestMessagesThatAreDropped hears that they were not sent.
func TestMessagesThatAreDropped(t *testing.T) {
	for _, kind := range messages {
		g := newGuest(t, wasi.Config{})
		r, w := g.pair()
		m, sent, trailers := g.message(kind, r)
		g.call("drop-"+kind, m)
		if got := g.sentCode(sent); got != denied {
			t.Errorf("%s: error %d, want %d", kind, got, denied)
		}
		if got := g.call("bytes.write-async", w, addrData, 1); got != dropped {
			t.Errorf("%s: a write to its body ends with %d, want %d", kind, got, dropped)
		}
		if got := g.call("trailer-future.write-async", trailers, addrData); got != dropped {
			t.Errorf("%s: a write of its trailers ends with %d, want %d", kind, got, dropped)
		}
		g.holds(0)
	}
}

// TestSend has a request denied.
func TestSend(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	m, sent, _ := g.message("request", 0)
	g.call("send", m, addrResult)
	if got := g.code(addrResult, httpCode); got != denied {
		t.Errorf("send: error %d, want %d", got, denied)
	}
	if got := g.sentCode(sent); got != denied {
		t.Errorf("the future of the request: error %d, want %d", got, denied)
	}
	g.holds(0)
}

// TestConsumeBody has a guest consume what it made: the stream, trailers, and what it says itself
// of how it handled them.
func TestConsumeBody(t *testing.T) {
	for _, kind := range messages {
		g := newGuest(t, wasi.Config{})
		r, w := g.pair()
		m, sent, trailers := g.message(kind, r)
		fields := g.call("fields")
		handled, handledWriter := g.future("sent-future")
		g.call("consume-"+kind, m, handled, addrResult)
		body, got := g.ends()

		at, _ := g.put([]byte("text"))
		if n := g.call("bytes.write-async", w, at, 4); n != blocked {
			t.Errorf("%s: a write ends with %d before it is read", kind, n)
		}
		if n := g.call("bytes.read", body, addrData, 10); n>>4 != 4 || string(g.get(addrData, 4)) != "text" {
			t.Errorf("%s: a read of the body ends with %d", kind, n)
		}

		value := make([]byte, 80)
		value[httpCode] = 1
		binary.LittleEndian.PutUint32(value[12:], uint32(fields))
		at, _ = g.put(value)
		g.call("trailer-future.write-async", trailers, at)
		g.call("trailer-future.read", got, addrFuture)
		g.call("trailer-future.drop", got)
		if b := g.get(addrFuture, 9); b[0] != 0 || b[httpCode] != 1 {
			t.Fatalf("%s: the trailers are %x", kind, b)
		}
		if has := g.call("has", with(g.u32(addrFuture+12), g.path("name"))...); has != 0 {
			t.Errorf("%s: the trailers have a field", kind)
		}

		value = make([]byte, 80)
		value[0], value[httpCode] = 1, byte(terminated)
		at, _ = g.put(value)
		g.call("sent-future.write-async", handledWriter, at)
		if got := g.sentCode(sent); got != terminated {
			t.Errorf("%s: error %d, want %d", kind, got, terminated)
		}
		g.holds(1) // the trailers
	}
}

// TestConsumeNothing has a message without a body, and a guest that wants no trailers.
func TestConsumeNothing(t *testing.T) {
	for _, kind := range messages {
		g := newGuest(t, wasi.Config{})
		m, sent, trailers := g.message(kind, 0)
		handled, handledWriter := g.future("sent-future")
		g.call("consume-"+kind, m, handled, addrResult)
		body, got := g.ends()
		if n := g.call("bytes.read", body, addrData, 10); n != dropped {
			t.Errorf("%s: a read of no body ends with %d, want %d", kind, n, dropped)
		}
		g.call("trailer-future.drop", got)
		if n := g.call("trailer-future.write-async", trailers, addrData); n != dropped {
			t.Errorf("%s: a write of trailers that are not wanted ends with %d, want %d", kind, n, dropped)
		}
		text, n := g.put(make([]byte, 1000))
		value := make([]byte, 80)
		value[0], value[httpCode], value[2*httpCode] = 1, byte(internal), 1
		binary.LittleEndian.PutUint32(value[20:], uint32(text))
		binary.LittleEndian.PutUint32(value[24:], uint32(n))
		at, _ := g.put(value)
		g.call("sent-future.write-async", handledWriter, at)
		if got := g.sentCode(sent); got != internal {
			t.Errorf("%s: error %d, want %d", kind, got, internal)
		}
		if has := g.get(addrFuture+2*httpCode, 1)[0]; has != 0 {
			t.Errorf("%s: the host holds a long text of an error", kind)
		}
	}
}

// TestTrailersThatAreLost has a guest drop a future when its trailers are on their way.
func TestTrailersThatAreLost(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	m, _, trailers := g.message("request", 0)
	value := make([]byte, 80)
	value[httpCode] = 1
	binary.LittleEndian.PutUint32(value[12:], uint32(g.call("fields")))
	at, _ := g.put(value)
	g.call("trailer-future.write-async", trailers, at)
	handled, _ := g.future("sent-future")
	g.call("consume-request", m, handled, addrResult)
	_, got := g.ends()
	g.call("trailer-future.drop", got)
	if err := g.x.Settle(g.ctx); err != nil {
		t.Fatal(err)
	}
	g.holds(0)
}

// holds fails the test unless the guest holds a number of objects of wasi:http.
func (g *guest) holds(want int) {
	g.t.Helper()
	if objects, bytes := g.host.HTTPUsed(); objects != want || bytes != 0 {
		g.t.Errorf("the guest holds %d HTTP objects with %d bytes, want %d", objects, bytes, want)
	}
}
