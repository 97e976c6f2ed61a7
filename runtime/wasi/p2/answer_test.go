package p2

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// TestBodiesBeforeTheResponse writes two bodies: only that of the response reaches the client.
func TestBodiesBeforeTheResponse(t *testing.T) {
	for _, finished := range []bool{false, true} {
		c := newCaller(t, wasi.Config{})
		s := newServer(t, "GET", nil).serve()
		h := c.handle(s)
		_, otherBody, otherOut := c.response("x", "other")
		c.want("write", write(c.ctx, otherOut, strings.Repeat("other", 100)), nil)
		r, body, out := c.response()
		c.want("write", write(c.ctx, out, "early"), nil)
		c.want("flush", out.Flush(c.ctx), nil)
		if finished {
			out.Drop()
			c.want("finish", c.finish(body), nil)
		}
		h.set(r)
		c.want("write", write(c.ctx, otherOut, "other"), nil)
		want := "early"
		if !finished {
			want = "early and late"
			c.want("write", write(c.ctx, out, " and late"), nil)
			out.Drop()
			c.want("finish", c.finish(body), nil)
		}
		h.h.publish() // as after the return of the guest
		s.want(200, want)
		if c.h.early != 505 {
			t.Errorf("%d bytes of bodies without a response are kept, want those of the other", c.h.early)
		}
		c.want("finish of the other body", c.finish(otherBody), nil)
	}
}

// TestResponseThatIsDropped writes to a body whose response is no more.
func TestResponseThatIsDropped(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	h := c.handle(newServer(t, "GET", nil))
	r, body, out := c.response()
	c.want("write", write(c.ctx, out, "lost"), nil)
	r.Drop()
	c.want("write", write(c.ctx, out, "lost"), errClosed)
	c.want("finish", c.finish(body), nil)
	for _, r := range []typed.Resource{out, h.request, h.out} {
		r.Drop()
	}
	if c.h.early != 0 {
		t.Errorf("%d bytes are kept", c.h.early)
	}
	c.held()
}

// TestEarlyBodiesAreBounded fills bodies whose response is not given: the guest waits for no one.
func TestEarlyBodiesAreBounded(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	s := newServer(t, "GET", nil).serve()
	h := c.handle(s)
	r, _, out := c.response()
	n := must[uint64](t)(out.CheckWrite(c.ctx))
	c.want("write", out.Write(c.ctx, make([]byte, n)), nil)
	if n := must[uint64](t)(out.CheckWrite(c.ctx)); n != 0 {
		t.Errorf("check-write permits %d bytes of a full body", n)
	}
	p := must[bindings.Pollable](t)(out.Subscribe(c.ctx))
	if ready, err := p.Ready(c.ctx); ready || err != nil {
		t.Errorf("ready: %v, %v", ready, err)
	}
	c.wantCode("blocking-write-and-flush", out.BlockingWriteAndFlush(c.ctx, []byte("x")), bindings.HTTPErrorCodeInternalError)
	c.want("write", write(c.ctx, out, "x"), errClosed)
	h.set(r)
	c.want("the answer", s.wait().failed, errEarly)
	for range 100 {
		_, _, out := c.response()
		n := must[uint64](t)(out.CheckWrite(c.ctx))
		c.want("write", out.Write(c.ctx, make([]byte, n)), nil)
	}
	if c.h.early > maxAllEarly {
		t.Errorf("%d bytes of bodies without a response are kept", c.h.early)
	}
}

// TestPublish counts when the server is told: not of writes, but of flushes
// now and then, of waits and of the end.
func TestPublish(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	s := newServer(t, "GET", nil)
	heads, told := 0, 0
	s.e.OnChange(func() { heads++ })
	h := c.handle(s)
	next := func(what string, want int) {
		t.Helper()
		if told != want {
			t.Errorf("after %s the server was told %d times, want %d", what, told, want)
		}
		told = 0
		s.e.Answer.Discard(s.e.Answer.Len())
		s.e.Answer.OnBytes(func() { told++ })
	}
	next("nothing", 0)
	r, body, out := c.response()
	h.set(r)
	c.want("write", write(c.ctx, out, "x"), nil)
	p := must[bindings.Pollable](t)(out.Subscribe(c.ctx))
	c.want("block", p.Block(c.ctx), nil)
	if heads != 0 {
		t.Error("the server was told of the response too early")
	}
	next("a poll that does not wait", 0)
	c.want("write", write(c.ctx, out, "x"), nil)
	c.want("block", c.after(time.Millisecond).Block(c.ctx), nil)
	next("a wait", 1)
	c.want("write", write(c.ctx, out, "x"), nil)
	if told != 0 {
		t.Error("the server was told of a write")
	}
	for began := time.Now(); told == 0 && time.Since(began) < time.Minute; { // not of each
		c.want("flush", out.Flush(c.ctx), nil)
	}
	next("flushes", 1)
	for began := time.Now(); told == 0 && time.Since(began) < time.Minute; {
		c.want("blocking-write-and-flush", out.BlockingWriteAndFlush(c.ctx, []byte("x")), nil)
	}
	next("blocking-write-and-flush", 1)
	c.want("finish", c.finish(body), nil)
	next("the end", 1)
	if heads != 1 {
		t.Errorf("the server was told of the response %d times, want once", heads)
	}
}

// TestSmallAnswer has the server told once of a whole answer.
func TestSmallAnswer(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	s := newServer(t, "GET", nil)
	told := 0
	s.e.OnChange(func() {
		if told++; s.e.Answer.Len() != 4 || !s.e.Answer.Ended() {
			t.Errorf("the server was told of %d bytes", s.e.Answer.Len())
		}
	})
	h := c.handle(s)
	r, body, out := c.response()
	h.set(r)
	c.want("write", write(c.ctx, out, "text"), nil)
	c.want("finish", c.finish(body), nil)
	s.e.Finish()
	if told != 1 {
		t.Errorf("the server was told %d times, want once", told)
	}
}

// TestLengths has bodies that do and do not have the length of their header.
func TestLengths(t *testing.T) {
	const size = bindings.HTTPErrorCodeHTTPResponseBodySize
	for _, test := range []struct {
		name, method string
		status       uint16
		lengths      []string
		body         string
		finish       any // codeCase of its error
		whole        bool
	}{
		{"right", "GET", 200, []string{"4"}, "text", nil, true},
		{"right, twice", "GET", 200, []string{"4", "4"}, "text", nil, true},
		{"none", "GET", 200, nil, "text", nil, true},
		{"too few", "GET", 200, []string{"5"}, "text", size, false},
		{"nothing", "GET", 200, []string{"5"}, "", size, false},
		{"too many", "GET", 200, []string{"3"}, "text", size, false},
		{"nothing, for HEAD", "HEAD", 200, []string{"5"}, "", nil, true},
		{"too few, for HEAD", "HEAD", 200, []string{"5"}, "text", size, false},
		{"nothing, with 304", "GET", 304, []string{"5"}, "", nil, true},
		{"two", "GET", 200, []string{"4", "5"}, "text", nil, false},
		{"a sign", "GET", 200, []string{"+4"}, "text", nil, false},
		{"a huge one", "GET", 200, []string{"9223372036854775808"}, "text", nil, false},
		{"a text", "GET", 200, []string{"4, 4"}, "text", nil, false},
	} {
		for _, early := range []bool{false, true} {
			name := test.name
			if early {
				name += ", before the response"
			}
			t.Run(name, func(t *testing.T) {
				c := newCaller(t, wasi.Config{})
				s := newServer(t, test.method, nil).serve()
				h := c.handle(s)
				var headers []string
				for _, n := range test.lengths {
					headers = append(headers, "Content-Length", n)
				}
				r, body, out := c.response(headers...)
				c.want("set-status-code", r.SetStatusCode(c.ctx, test.status), nil)
				if !early {
					h.set(r)
				}
				_ = write(c.ctx, out, test.body) // too much is an error of finish, too
				out.Drop()
				// Before the response it is not known whether a body without a byte is whole, and what is
				// wrong with the header is known at the response.
				err, open := c.finish(body), early && test.body == "" || test.finish == nil && !test.whole
				if got := codeCase(err); got != test.finish && !open {
					t.Errorf("finish: %v, want %v", err, test.finish)
				}
				if early {
					h.set(r)
				}
				s.e.Finish()
				s.wait()
				if whole := s.failed == nil && errors.Is(s.end, io.EOF); whole != test.whole {
					t.Errorf("the answer is %v, %v, %v, want whole: %v", s.head, s.failed, s.end, test.whole)
				}
			})
		}
	}
}

// TestResponseWithoutBody has responses whose body the guest never took.
func TestResponseWithoutBody(t *testing.T) {
	for _, test := range []struct {
		method  string
		headers []string
		whole   bool
	}{{"GET", nil, true}, {"GET", []string{"content-length", "5"}, false}, {"HEAD", []string{"content-length", "5"}, true}} {
		c := newCaller(t, wasi.Config{})
		s := newServer(t, test.method, nil).serve()
		h := c.handle(s)
		h.set(must[bindings.OutgoingResponse](t)(c.b.HTTP.NewOutgoingResponse(c.ctx, c.fields(test.headers...))))
		s.e.Finish()
		if s.wait(); test.whole != (s.failed == nil) || test.whole && !s.head.Bodiless {
			t.Errorf("%s %v: the answer is %v, %v", test.method, test.headers, s.head, s.failed)
		}
		h.request.Drop()
		c.held()
	}
}

// TestLiesOfHandlers has guests that answer as no guest may.
func TestLiesOfHandlers(t *testing.T) {
	code := func(h *handled, code bindings.HTTPErrorCode) {
		h.want("set", h.b.HTTP.ResponseOutparamSet(h.ctx, h.out, setResult{Failed: true, Error: code}), nil)
	}
	for _, test := range []struct {
		name   string
		answer func(h *handled)
		failed string // part of why there is no response
		end    error  // of the body, if there is a response
	}{
		{"no response", func(h *handled) { h.out.Drop() }, http.ErrNoResponse.Error(), nil},
		{"a body that is dropped", func(h *handled) {
			r, b, _ := h.response()
			h.set(r)
			b.Drop()
		}, "", http.ErrIncomplete},
		{"a body that is kept", func(h *handled) {
			r, _, _ := h.response()
			h.set(r)
		}, "", http.ErrIncomplete},
		{"a body that is dropped before the response", func(h *handled) {
			r, b, out := h.response()
			h.want("write", write(h.ctx, out, "x"), nil)
			b.Drop()
			h.set(r)
		}, http.ErrIncomplete.Error(), nil},
		{"a response of 1xx", func(h *handled) {
			r, b, _ := h.response()
			h.want("set-status-code", r.SetStatusCode(h.ctx, 101), nil)
			h.set(r)
			if err := h.finish(b); codeCase(err) != bindings.HTTPErrorCodeHTTPProtocolError {
				h.t.Errorf("finish: %v", err)
			}
		}, http.ErrStatus.Error(), nil},
		{"a code with a text", func(h *handled) {
			code(h, bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeInternalError, InternalError: typed.Some("secret")})
		}, "the error internal-error", nil},
		{"a code with a number", func(h *handled) {
			code(h, bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeHTTPRequestBodySize, HTTPRequestBodySize: typed.Some[uint64](7)})
		}, "HTTP-request-body-size", nil},
		{"a write after the end", func(h *handled) {
			r, b, out := h.response()
			h.set(r)
			must[uint64](h.t)(out.CheckWrite(h.ctx))
			h.want("finish", h.finish(b), nil)
			_, err := out.CheckWrite(h.ctx)
			h.want("check-write after finish", err, errClosed)
			h.want("blocking write after finish", out.BlockingWriteAndFlush(h.ctx, []byte("x")), errClosed)
		}, "", io.EOF},
		{"a flush after the end", func(h *handled) {
			r, b, out := h.response()
			h.set(r)
			h.want("finish", h.finish(b), nil)
			h.want("flush after finish", out.Flush(h.ctx), errClosed)
		}, "", io.EOF},
		{"two bodies, two streams and two responses", func(h *handled) {
			r, b, _ := h.response()
			_, err := r.Body(h.ctx)
			h.want("body again", err, typed.ErrFailed)
			_, err = b.Write(h.ctx)
			h.want("write again", err, typed.ErrFailed)
			h.set(r)
			h.want("finish", h.finish(b), nil)
			other, _, _ := h.response()
			h.want("set again", h.b.HTTP.ResponseOutparamSet(h.ctx, h.out, setResult{OK: other}), errSet)
		}, "", io.EOF},
		{"a response after a drop", func(h *handled) {
			h.out.Drop()
			r, _, _ := h.response()
			h.want("set", h.b.HTTP.ResponseOutparamSet(h.ctx, h.out, setResult{OK: r}), errSet)
		}, http.ErrNoResponse.Error(), nil},
		{"headers that are changed after the response", func(h *handled) {
			headers := h.fields("x", "y")
			r := must[bindings.OutgoingResponse](h.t)(h.b.HTTP.NewOutgoingResponse(h.ctx, headers))
			h.set(r)
			h.want("append", headers.Append(h.ctx, "x", []byte("z")), headerError(bindings.HeaderErrorImmutable))
		}, "", io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCaller(t, wasi.Config{})
			s := newServer(t, "GET", nil).serve()
			test.answer(c.handle(s))
			s.e.Finish()
			s.wait()
			if test.failed == "" {
				c.want("the end of the body", s.end, test.end)
			} else if s.failed == nil || !strings.Contains(s.failed.Error(), test.failed) || strings.Contains(s.failed.Error(), "secret") || s.head != nil {
				t.Errorf("the answer is %v, %v, want none, with %q", s.head, s.failed, test.failed)
			}
		})
	}
}

// TestClientThatIsGone writes to clients that read no more: the stream fails, but not the guest.
func TestClientThatIsGone(t *testing.T) {
	for _, test := range []struct {
		why  error
		want bindings.HTTPErrorCodeCase
	}{{nil, bindings.HTTPErrorCodeConnectionTerminated}, {http.ErrStalled, bindings.HTTPErrorCodeConnectionWriteTimeout}} {
		c := newCaller(t, wasi.Config{})
		s := newServer(t, "GET", nil)
		h := c.handle(s)
		r, body, out := c.response("content-length", "200000")
		h.set(r)
		must[uint64](t)(out.CheckWrite(c.ctx))
		c.want("write", out.Write(c.ctx, make([]byte, http.PipeSize)), nil)
		timer := time.AfterFunc(20*time.Millisecond, func() { s.e.Answer.Close(test.why) })
		defer timer.Stop()
		c.wantCode("write", out.BlockingWriteAndFlush(c.ctx, []byte("x")), test.want)
		_, err := out.CheckWrite(c.ctx)
		c.want("check-write", err, errClosed)
		c.want("finish", c.finish(body), nil)
		out.Drop()
		h.request.Drop()
		c.held()
	}
}

// TestManyRequests answers requests in one instance. One that keeps what it gets ends.
func TestManyRequests(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	answer := func() *handled {
		s := newServer(t, "POST", &http.Pipe{})
		h := c.handle(s)
		r, b, out := h.response()
		h.set(r)
		c.want("write", write(c.ctx, out, "x"), nil)
		out.Drop()
		c.want("finish", c.finish(b), nil)
		return h
	}
	for range 10_000 {
		h := answer()
		h.request.Drop()
		c.h.exchange.Free()
	}
	c.held()
	kept := answer()
	in, stream := kept.stream()
	c.h.exchange.Free()
	r, b, out := c.response()
	served := 0
	var err error
	for range 10_000 {
		if _, _, err = c.h.Incoming(newServer(t, "GET", nil).e); err != nil {
			break
		}
		served++
	}
	c.want("the request of a guest that keeps all", err, http.ErrObjects)
	if served == 0 || served > http.MaxObjects {
		t.Errorf("%d requests were served", served)
	}
	// What it kept of an exchange that is over has no effect.
	_, err = stream.BlockingRead(c.ctx, 1)
	c.wantCode("read", err, bindings.HTTPErrorCodeConnectionTerminated)
	c.want("write", write(c.ctx, out, "x"), nil)
	late := &responseOutparam{host: c.h, exchange: kept.request.(*incomingRequest).exchange}
	c.want("set", c.b.HTTP.ResponseOutparamSet(c.ctx, late, setResult{OK: r}), nil)
	c.want("finish", c.finish(b), nil)
	in.Drop()
}
