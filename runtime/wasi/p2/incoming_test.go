package p2

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// stream consumes the request and returns its body with the stream of that.
func (h *handled) stream() (bindings.IncomingBody, bindings.InputStream) {
	h.t.Helper()
	b := must[bindings.IncomingBody](h.t)(h.request.Consume(h.ctx))
	return b, must[bindings.InputStream](h.t)(b.Stream(h.ctx))
}

// TestIncomingRequest reads a request with a body and trailers, and answers with both.
func TestIncomingRequest(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	body := &http.Pipe{}
	s := newServer(t, "POST", body).serve()
	h := c.handle(s)
	if m, err := h.request.Method(c.ctx); m.Case != bindings.MethodPost || err != nil {
		t.Errorf("method: %v, %v", m, err)
	}
	if p, err := h.request.PathWithQuery(c.ctx); p != typed.Some("/a?b") || err != nil {
		t.Errorf("path-with-query: %v, %v", p, err)
	}
	if a, err := h.request.Authority(c.ctx); a != typed.Some("example.com") || err != nil {
		t.Errorf("authority: %v, %v", a, err)
	}
	if x, err := h.request.Scheme(c.ctx); !x.Is || x.Value.Case != bindings.SchemeHTTPS || err != nil {
		t.Errorf("scheme: %v, %v", x, err)
	}
	headers := must[bindings.Headers](t)(h.request.Headers(c.ctx))
	c.want("append", headers.Append(c.ctx, "b", nil), headerError(bindings.HeaderErrorImmutable))
	if got := c.entries(headers); got != "a=v" {
		t.Errorf("headers: %s", got)
	}
	headers.Drop()
	in, stream := h.stream()
	_, err := h.request.Consume(c.ctx)
	c.want("consume again", err, typed.ErrFailed)
	_, err = in.Stream(c.ctx)
	c.want("stream again", err, typed.ErrFailed)
	h.request.Drop()
	if b, err := stream.Read(c.ctx, 10); len(b) != 0 || err != nil {
		t.Errorf("read: %q, %v", b, err)
	}
	go func() {
		_, _ = body.Write([]byte("some text"))
		body.End([]http.Field{{A: "t", B: []byte("1")}}, nil)
	}()
	if got := c.all(stream); got != "some text" {
		t.Errorf("the body is %q", got)
	}
	stream.Drop()
	future := must[bindings.FutureTrailers](t)(c.b.HTTP.IncomingBodyFinish(c.ctx, in))
	got := must[typed.Option[typed.Result[typed.Result[typed.Option[bindings.Trailers], bindings.HTTPErrorCode], typed.None]]](t)(future.Get(c.ctx))
	if !got.Is || got.Value.Failed || got.Value.OK.Failed || !got.Value.OK.OK.Is || c.entries(got.Value.OK.OK.Value) != "t=1" {
		t.Fatalf("the trailers are %v", got)
	}
	got.Value.OK.OK.Value.Drop()
	if again, err := future.Get(c.ctx); !again.Is || !again.Value.Failed || err != nil {
		t.Errorf("the trailers, again, are %v, %v", again, err)
	}
	future.Drop()
	c.want("inform", h.out.SendInformational(c.ctx, 103, c.fields("link", "x")), nil)
	if err := h.out.SendInformational(c.ctx, 200, c.fields()); codeCase(err) != bindings.HTTPErrorCodeHTTPProtocolError {
		t.Errorf("inform with a wrong status: %v", err)
	}
	if err := h.out.SendInformational(c.ctx, 101, c.fields()); codeCase(err) != bindings.HTTPErrorCodeInternalError {
		t.Errorf("inform with 101: %v", err)
	}
	r, b, out := c.response("x", "y", "content-length", "5")
	c.want("set-status-code", r.SetStatusCode(c.ctx, 201), nil)
	h.set(r)
	c.want("write", write(c.ctx, out, "hello"), nil)
	out.Drop()
	c.want("finish", c.b.HTTP.OutgoingBodyFinish(c.ctx, b, typed.Some(c.fields("end", "z"))), nil)
	s.want(201, "hello")
	if len(s.head.Headers) != 2 || s.head.Headers[0].A != "x" || len(s.inform) != 1 || s.inform[0].Status != 103 {
		t.Errorf("the head is %v, after %v", s.head, s.inform)
	}
	if got := s.e.Answer.Trailers(); len(got) != 1 || got[0].A != "end" {
		t.Errorf("the trailers are %v", got)
	}
	c.held()
}

// TestRequestWithoutBody has other texts, and nothing to read.
func TestRequestWithoutBody(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	s := newServer(t, "BREW", nil)
	s.e.Scheme, s.e.Authority, s.e.PathWithQuery = "coffee", "", ""
	h := c.handle(s)
	if m, _ := h.request.Method(c.ctx); m.Case != bindings.MethodOther || m.Other != "BREW" {
		t.Errorf("method: %v", m)
	}
	if x, _ := h.request.Scheme(c.ctx); x.Value.Case != bindings.SchemeOther || x.Value.Other != "coffee" {
		t.Errorf("scheme: %v", x)
	}
	if p, _ := h.request.PathWithQuery(c.ctx); p.Is {
		t.Errorf("path-with-query: %v", p)
	}
	b, stream := h.stream()
	p := must[bindings.Pollable](t)(stream.Subscribe(c.ctx))
	c.want("block", p.Block(c.ctx), nil)
	if got := c.all(stream); got != "" {
		t.Errorf("the body is %q", got)
	}
	future := must[bindings.FutureTrailers](t)(c.b.HTTP.IncomingBodyFinish(c.ctx, b))
	if got, err := future.Get(c.ctx); !got.Is || got.Value.Failed || got.Value.OK.Failed || got.Value.OK.OK.Is || err != nil {
		t.Errorf("the trailers are %v, %v", got, err)
	}
	for _, r := range []typed.Resource{p, stream, future, h.request, h.out} {
		r.Drop()
	}
	c.held()
}

// TestBodiesThatFail has requests whose bodies end with an error: the guest gets its code.
func TestBodiesThatFail(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bindings.HTTPErrorCodeCase
	}{
		{errors.New("read tcp 10.0.0.1:80: reset"), bindings.HTTPErrorCodeConnectionTerminated},
		{http.ErrStalled, bindings.HTTPErrorCodeConnectionReadTimeout},
		{http.ErrBodySize, bindings.HTTPErrorCodeHTTPRequestBodySize},
	} {
		c := newCaller(t, wasi.Config{})
		body := &http.Pipe{}
		h := c.handle(newServer(t, "PUT", body))
		b, stream := h.stream()
		_, _ = body.Write([]byte("x"))
		body.End(nil, test.err)
		if got := must[[]byte](t)(stream.BlockingRead(c.ctx, 10)); string(got) != "x" {
			t.Errorf("read: %q", got)
		}
		_, err := stream.BlockingRead(c.ctx, 10)
		c.wantCode("read", err, test.want)
		_, err = stream.Read(c.ctx, 10)
		c.want("read again", err, errClosed)
		future := must[bindings.FutureTrailers](t)(c.b.HTTP.IncomingBodyFinish(c.ctx, b))
		if got, _ := future.Get(c.ctx); !got.Is || !got.Value.OK.Failed || got.Value.OK.Error.Case != test.want {
			t.Errorf("the trailers are %v", got)
		}
		for _, r := range []typed.Resource{future, stream, h.request, h.out} {
			r.Drop()
		}
		c.held()
	}
}

// TestBodyThatIsNotRead drops parts of a request: the server is told when nothing reads the body.
func TestBodyThatIsNotRead(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	body := &http.Pipe{}
	h := c.handle(newServer(t, "PUT", body))
	b, stream := h.stream()
	h.request.Drop()
	b.Drop()
	_, err := body.Write([]byte("x"))
	c.want("write to a body with a stream", err, nil)
	p := must[bindings.Pollable](t)(stream.Subscribe(c.ctx))
	stream.Drop()
	_, err = body.Write([]byte("x"))
	c.want("write to a body that nothing reads", err, http.ErrGone)
	c.want("block after the stream was dropped", p.Block(c.ctx), nil)

	body = &http.Pipe{}
	h = c.handle(newServer(t, "PUT", body))
	h.request.Drop()
	_, err = body.Write([]byte("x"))
	c.want("write to a body that nothing reads", err, http.ErrGone)
}

// TestTrailersDrain finishes a body that is not read: the rest is lost, and the trailers come.
func TestTrailersDrain(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	body := &http.Pipe{}
	h := c.handle(newServer(t, "PUT", body))
	b, stream := h.stream()
	future := must[bindings.FutureTrailers](t)(c.b.HTTP.IncomingBodyFinish(c.ctx, b))
	_, err := stream.Read(c.ctx, 1)
	c.want("read after finish", err, errClosed)
	p := must[bindings.Pollable](t)(future.Subscribe(c.ctx))
	if ready, err := p.Ready(c.ctx); ready || err != nil {
		t.Errorf("ready: %v, %v", ready, err)
	}
	if got, err := future.Get(c.ctx); got.Is || err != nil {
		t.Errorf("the trailers are %v, %v", got, err)
	}
	done := make(chan error, 1)
	go func() {
		err := send(body, strings.Repeat("x", 1<<20))
		body.End([]http.Field{{A: "t", B: []byte("1")}}, nil)
		done <- err
	}()
	c.want("block", p.Block(c.ctx), nil)
	c.want("send", <-done, nil)
	if got, _ := future.Get(c.ctx); !got.Value.OK.OK.Is || c.entries(got.Value.OK.OK.Value) != "t=1" {
		t.Errorf("the trailers are %v", got)
	}
}

// send writes a text to a pipe, from a goroutine of a server.
func send(p *http.Pipe, text string) error {
	for len(text) > 0 {
		n, err := p.Write([]byte(text))
		if err == wasi.ErrWouldBlock { //nolint:errorlint // a Pipe returns it as it is
			room := make(chan struct{})
			p.OnSpace(func() { close(room) })
			<-room
			continue
		}
		if err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// TestEcho moves a large body through a guest, in the ways that it has.
func TestEcho(t *testing.T) {
	const size = 1 << 20
	text := strings.Repeat("0123456789abcdef-", size/17)
	for _, test := range []struct {
		name string
		move func(c *caller, in bindings.InputStream, out bindings.OutputStream) error
	}{
		{"blocking-splice", func(c *caller, in bindings.InputStream, out bindings.OutputStream) error {
			_, err := out.BlockingSplice(c.ctx, in, 1<<40)
			return err
		}},
		{"splice and poll", func(c *caller, in bindings.InputStream, out bindings.OutputStream) error {
			for _, s := range []interface {
				Subscribe(ctx context.Context) (bindings.Pollable, error)
			}{in, out} {
				p := must[bindings.Pollable](c.t)(s.Subscribe(c.ctx))
				c.want("block", p.Block(c.ctx), nil)
				p.Drop()
			}
			_, err := out.Splice(c.ctx, in, 1<<40)
			return err
		}},
		{"blocking-read and blocking-write-and-flush", func(c *caller, in bindings.InputStream, out bindings.OutputStream) error {
			b, err := in.BlockingRead(c.ctx, maxBlockingWrite)
			if err != nil {
				return err
			}
			return out.BlockingWriteAndFlush(c.ctx, b)
		}},
		{"read, check-write and blocking-flush", func(c *caller, in bindings.InputStream, out bindings.OutputStream) error {
			n, err := out.CheckWrite(c.ctx)
			if err != nil || n == 0 {
				return errors.Join(err, out.BlockingFlush(c.ctx))
			}
			b, err := in.BlockingRead(c.ctx, n)
			if err != nil {
				return err
			}
			return out.Write(c.ctx, b)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCaller(t, wasi.Config{})
			body := &http.Pipe{}
			s := newServer(t, "POST", body).serve()
			h := c.handle(s)
			sent := make(chan error, 1)
			go func() {
				err := send(body, text)
				body.End(nil, nil)
				sent <- err
			}()
			in, from := h.stream()
			r, b, to := c.response()
			h.set(r)
			var err error
			for err == nil {
				err = test.move(c, from, to)
			}
			c.want("move", err, errClosed)
			c.want("send", <-sent, nil)
			for _, r := range []typed.Resource{from, in, h.request, to} {
				r.Drop()
			}
			c.want("finish", c.finish(b), nil)
			s.want(200, text)
			c.held()
		})
	}
}

// TestPollOfBodies waits for a body together with a timer, a file and standard input.
func TestPollOfBodies(t *testing.T) {
	r, w := pipe(t)
	c := newCaller(t, wasi.Config{Stdin: r})
	body := &http.Pipe{}
	s := newServer(t, "POST", body)
	h := c.handle(s)
	_, from := h.stream()
	stdin := must[bindings.InputStream](t)(c.b.Stdin.GetStdin(c.ctx))
	input := must[bindings.Pollable](t)(stdin.Subscribe(c.ctx))
	upload := must[bindings.Pollable](t)(from.Subscribe(c.ctx))
	resp, _, to := c.response()
	h.set(resp)
	for n := must[uint64](t)(to.CheckWrite(c.ctx)); n > 0; n = must[uint64](t)(to.CheckWrite(c.ctx)) {
		c.want("write", to.Write(c.ctx, make([]byte, n)), nil)
	}
	download := must[bindings.Pollable](t)(to.Subscribe(c.ctx))
	poll := func(what string, d time.Duration, want uint32) {
		t.Helper()
		got := must[[]uint32](t)(c.b.Poll.Poll(c.ctx, []bindings.Pollable{upload, download, input, c.after(d)}))
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v are ready, want %d", what, got, want)
		}
	}
	poll("nothing", time.Millisecond, 3)
	go func() { _, _ = body.Write([]byte("x")) }()
	poll("bytes of the request", time.Hour, 0)
	must[[]byte](t)(from.Read(c.ctx, 10))
	go s.e.Answer.Discard(1)
	poll("room in the answer", time.Hour, 1)
	c.want("write", write(c.ctx, to, "x"), nil)
	go func() { _, _ = w.Write([]byte("x")) }()
	poll("input", time.Hour, 2)
	must[[]byte](t)(stdin.Read(c.ctx, 10))
	go body.End(nil, nil)
	poll("the end of the request", time.Hour, 0)
}

// TestKillInBodies ends calls that wait for a body.
func TestKillInBodies(t *testing.T) {
	full := func(h *handled) bindings.OutputStream {
		r, _, to := h.response()
		h.set(r)
		must[uint64](h.t)(to.CheckWrite(h.ctx))
		h.want("write", to.Write(h.ctx, make([]byte, http.PipeSize)), nil)
		return to
	}
	for _, test := range []struct {
		name string
		call func(h *handled) error
	}{
		{"blocking-read", func(h *handled) error {
			_, from := h.stream()
			_, err := from.BlockingRead(h.ctx, 1)
			return err
		}},
		{"block for trailers", func(h *handled) error {
			b := must[bindings.IncomingBody](h.t)(h.request.Consume(h.ctx))
			f := must[bindings.FutureTrailers](h.t)(h.b.HTTP.IncomingBodyFinish(h.ctx, b))
			return must[bindings.Pollable](h.t)(f.Subscribe(h.ctx)).Block(h.ctx)
		}},
		{"poll", func(h *handled) error {
			_, from := h.stream()
			list := []bindings.Pollable{must[bindings.Pollable](h.t)(from.Subscribe(h.ctx)), h.after(time.Hour)}
			_, err := h.b.Poll.Poll(h.ctx, list)
			return err
		}},
		{"blocking-write-and-flush", func(h *handled) error { return full(h).BlockingWriteAndFlush(h.ctx, []byte("x")) }},
		{"blocking-write-zeroes-and-flush", func(h *handled) error { return full(h).BlockingWriteZeroesAndFlush(h.ctx, 9) }},
		{"blocking-flush", func(h *handled) error { return full(h).BlockingFlush(h.ctx) }},
		{"blocking-splice", func(h *handled) error {
			_, from := h.stream()
			r, _, to := h.response()
			h.set(r)
			_, err := to.BlockingSplice(h.ctx, from, 1)
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCaller(t, wasi.Config{})
			h := c.handle(newServer(t, "POST", &http.Pipe{}))
			timer := time.AfterFunc(20*time.Millisecond, c.kill)
			defer timer.Stop()
			c.want("the call", test.call(h), wasi.ErrKilled)
		})
	}
}
