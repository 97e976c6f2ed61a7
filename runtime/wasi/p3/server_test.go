package p3_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// server is the server's side of an exchange.
type server struct {
	*http.Exchange
	t    testing.TB
	told int
}

func newServer(t testing.TB, method string, headers ...http.Field) *server {
	s := &server{&http.Exchange{
		Method: method, Scheme: "http", Authority: "host", PathWithQuery: "/", Headers: headers, Answer: &http.Pipe{Lazy: true},
	}, t, 0}
	s.OnChange(func() { s.told++ })
	return s
}

// withBody gives the request a body, whose first bytes are there.
func (s *server) withBody(text string) *server {
	s.Body = &http.Pipe{}
	if n, err := s.Body.Write([]byte(text)); n != len(text) || err != nil {
		s.t.Fatalf("writing a body: %d, %v", n, err)
	}
	return s
}

// bytes takes what there is of the answer's body. The error says why there is no more.
func (s *server) bytes() (text string, err error) {
	for {
		b, err := s.Answer.Bytes()
		if err != nil {
			return text, err
		}
		text += string(b)
		s.Answer.Discard(len(b))
	}
}

// is fails the test unless the answer has a status, a body, and an end, whose text has a part.
func (s *server) is(status int, body, end string) {
	s.t.Helper()
	_, head, _ := s.Next()
	got := 0
	if head != nil {
		got = head.Status
	}
	text, err := s.bytes()
	if got != status || text != body || !strings.Contains(err.Error(), end) {
		s.t.Errorf("the answer has status %d, %d bytes %.20q and ends with %v, want %d, %.20q, %s", got, len(text), text, err, status, body, end)
	}
}

// accept gives the guest the request of an exchange.
func (g *guest) accept(s *server) (request int) {
	g.t.Helper()
	err := g.x.Call(g.ctx, g.x.Exports().Func("accept"), func(to canon.Place) {
		r, err := g.host.Request(g.x, s.Exchange)
		if err != nil {
			g.t.Fatal(err)
		}
		bindings.LowerHandlerHandleArgs(to, r)
	}, func(v canon.Value) { request = int(v.U32()) })
	if err != nil {
		g.t.Fatal(err)
	}
	return request
}

// respond has the guest return a response.
func (g *guest) respond(s *server, response int) {
	g.t.Helper()
	err := g.x.Call(g.ctx, g.x.Exports().Func("respond"), func(to canon.Place) { to.Field(0).U32(uint32(response)) }, func(v canon.Value) {
		r, err := bindings.LiftHandlerHandleResult(v)
		if err != nil {
			g.t.Fatal(err)
		}
		g.host.Respond(s.Exchange, r)
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.settle()
}

// settle has all done that can be done now.
func (g *guest) settle() {
	g.t.Helper()
	if err := g.x.Settle(g.ctx); err != nil {
		g.t.Fatal(err)
	}
}

// response makes a response with fields, given as names and values.
func (g *guest) response(stream int, headers ...string) (m, sent, trailers int) {
	g.t.Helper()
	r, trailers := g.future("trailer-future")
	g.call("response", g.fieldsOf(headers...), min(stream, 1), stream, r, addrResult)
	m, sent = g.ends()
	return m, sent, trailers
}

func (g *guest) fieldsOf(pairs ...string) int {
	g.t.Helper()
	f := g.call("fields")
	for i := 0; i < len(pairs); i += 2 {
		g.call("append", with(f, g.path(pairs[i]), g.path(pairs[i+1]), addrResult)...)
		if g.get(addrResult, 1)[0] != 0 {
			g.t.Fatalf("append %s: error %d", pairs[i], g.get(addrResult+4, 1)[0])
		}
	}
	return f
}

// endTrailers writes trailers: fields, none (0), or an error (-1).
func (g *guest) endTrailers(w, fields int) int {
	value := make([]byte, 80)
	switch {
	case fields > 0:
		value[httpCode] = 1
		binary.LittleEndian.PutUint32(value[12:], uint32(fields))
	case fields < 0:
		value[0], value[httpCode] = 1, byte(terminated)
	}
	at, _ := g.put(value)
	return g.call("trailer-future.write-async", w, at)
}

// ready fails the test unless the guest holds nothing, and no streams of it are open.
func (g *guest) ready() {
	g.t.Helper()
	g.settle()
	g.holds(0)
	if n := g.host.Open(); n != 0 {
		g.t.Errorf("%d streams or exchanges are open", n)
	}
}
