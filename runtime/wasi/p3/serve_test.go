package p3_test

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

const (
	bodySize = int(bindings.HTTPErrorCodeHTTPResponseBodySize)
	protocol = int(bindings.HTTPErrorCodeHTTPProtocolError)
)

// TestHello has a small answer, of which the server is told once.
func TestHello(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	s := newServer(t, "GET", http.Field{A: "X-a", B: []byte("v")})
	request := g.accept(s)
	headers := g.call("get-headers", request)
	if g.call("has", with(headers, g.path("x-A"))...) != 1 {
		t.Error("the request lacks a header")
	}
	g.call("append", with(headers, g.path("b"), g.path("v"), addrResult)...)
	if b := g.get(addrResult, 5); b[0] != 1 || b[4] != byte(bindings.HeaderErrorImmutable) {
		t.Errorf("append to the headers of a request: %x", b)
	}
	g.call("drop-fields", headers)
	handled, handledWriter := g.future("sent-future")
	g.call("consume-request", request, handled, addrResult)
	body, requestTrailers := g.ends()
	if n := g.call("bytes.read", body, addrData, 10); n != dropped {
		t.Errorf("a read of no body ends with %d, want %d", n, dropped)
	}
	g.call("trailer-future.read", requestTrailers, addrFuture)
	if b := g.get(addrFuture, 9); b[0] != 0 || b[httpCode] != 0 {
		t.Errorf("the trailers of no body are %x", b)
	}
	at, _ := g.put(make([]byte, 80))
	g.call("sent-future.write-async", handledWriter, at)

	r, w := g.pair()
	response, sent, trailers := g.response(r, "content-length", "5", "a", "b")
	g.call("set-status-code", response, 201)
	g.respond(s, response)
	if got := g.send(w, []byte("hello")); got != 5 {
		t.Errorf("the host took %d bytes", got)
	}
	g.call("bytes.drop-writable", w)
	if g.endTrailers(trailers, 0); s.told != 1 || !s.Answer.Ended() {
		t.Errorf("the server was told %d times, and the end: %v", s.told, s.Answer.Ended())
	}
	_, head, _ := s.Next()
	if len(head.Headers) != 2 || head.Bodiless || head.Headers[1].A != "a" || string(head.Headers[1].B) != "b" {
		t.Errorf("the head is %v", head)
	}
	s.is(201, "hello", io.EOF.Error())
	if code := g.sentCode(sent); code != fine {
		t.Errorf("error %d of sent", code)
	}
	g.ready()
}

// TestAnswersEnd has answers of all kinds, and what the server and the guest hear.
func TestAnswersEnd(t *testing.T) {
	eof, waits := io.EOF.Error(), wasi.ErrWouldBlock.Error()
	size, long := "its content-length says", strings.Repeat("x", 5)
	for name, test := range map[string]struct {
		method  string
		status  int
		headers []string
		body    string // "-" for none
		trailer int
		want    int // the status that the server gets
		got     string
		end     string
		sent    int
	}{
		"no body":                  {headers: nil, body: "-", want: 200, end: eof, sent: fine},
		"no body, but a length":    {headers: []string{"content-length", "5"}, body: "-", end: size, sent: bodySize},
		"an empty body":            {headers: []string{"content-length", "0"}, body: "", want: 200, end: eof, sent: fine},
		"too short":                {headers: []string{"Content-Length", "6"}, body: long, want: 200, got: long, end: size, sent: bodySize},
		"too long":                 {headers: []string{"content-length", "4"}, body: long, want: 200, end: size, sent: bodySize},
		"lengths that differ":      {headers: []string{"content-length", "4", "content-length", "5"}, body: long, end: http.ErrLength.Error(), sent: protocol},
		"no number":                {headers: []string{"content-length", "+5"}, body: long, end: http.ErrLength.Error(), sent: protocol},
		"two numbers":              {headers: []string{"content-length", "5, 5"}, body: long, end: http.ErrLength.Error(), sent: protocol},
		"the same length twice":    {headers: []string{"content-length", "5", "content-length", "5"}, body: long, want: 200, got: long, end: eof, sent: fine},
		"HEAD":                     {method: "HEAD", headers: []string{"content-length", "7"}, body: "-", want: 200, end: eof, sent: fine},
		"not modified":             {status: 304, headers: []string{"content-length", "7"}, body: "-", want: 304, end: eof, sent: fine},
		"informational":            {status: 100, body: "-", end: http.ErrStatus.Error(), sent: protocol},
		"switching protocols":      {status: 101, body: long, end: http.ErrStatus.Error(), sent: protocol},
		"an error as trailers":     {body: long, trailer: -1, want: 200, got: long, end: "connection-terminated", sent: terminated},
		"trailers":                 {body: long, trailer: 1, want: 200, got: long, end: eof, sent: fine},
		"trailers without a body":  {body: "-", trailer: 1, want: 200, end: eof, sent: fine},
		"no trailers for a while":  {body: long, trailer: 2, want: 200, got: long, end: waits},
		"nor without a body":       {body: "-", trailer: 2, want: 200, end: waits},
		"an error before the body": {body: "+", trailer: -1, want: 200, end: "connection-terminated", sent: terminated},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, wasi.Config{})
			s := newServer(t, cmp.Or(test.method, "GET"))
			g.call("drop-request", g.accept(s))
			r, w := 0, 0
			if test.body != "-" {
				r, w = g.pair()
			}
			response, sent, trailers := g.response(r, test.headers...)
			if test.status != 0 {
				g.call("set-status-code", response, test.status)
			}
			g.respond(s, response)
			if w != 0 && test.body != "+" {
				g.send(w, []byte(test.body))
				g.call("bytes.drop-writable", w)
			}
			switch test.trailer {
			case 1:
				g.endTrailers(trailers, g.fieldsOf("t", "v"))
			case 0, -1:
				g.endTrailers(trailers, test.trailer)
			}
			g.settle()
			s.is(test.want, test.got, test.end)
			if test.end == waits {
				s.Answer.Close(nil)
				g.settle()
				test.sent = terminated
			}
			if list := s.Answer.Trailers(); test.trailer == 1 && (len(list) != 1 || list[0].A != "t" || string(list[0].B) != "v") {
				t.Errorf("the trailers are %q", list)
			}
			if code := g.sentCode(sent); code != test.sent {
				t.Errorf("error %d of sent, want %d", code, test.sent)
			}
			if test.body == "+" {
				if got := g.call("bytes.write-async", w, addrData, 1); got != dropped {
					t.Errorf("a write to a failed answer ends with %d", got)
				}
			}
			if !s.Answer.Ended() || s.told == 0 {
				t.Errorf("the answer ended: %v; the server was told %d times", s.Answer.Ended(), s.told)
			}
			g.ready()
		})
	}
}

// TestEcho gives the request's stream and trailers as the response's. The server sends more than
// pipes hold.
func TestEcho(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	s := newServer(t, "POST").withBody("")
	handled, _ := g.future("sent-future")
	g.call("consume-request", g.accept(s), handled, addrResult)
	body, trailers := g.ends()
	g.call("response", g.call("fields"), 1, body, trailers, addrResult)
	response, sent := g.ends()
	g.respond(s, response)

	text := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
	var all sync.WaitGroup
	all.Go(func() {
		for rest := text; len(rest) > 0; {
			space := make(chan struct{})
			s.Body.OnSpace(func() { close(space) })
			<-space
			n, err := s.Body.Write(rest)
			if err != nil && !errors.Is(err, wasi.ErrWouldBlock) {
				t.Errorf("writing the request: %v", err)
				return
			}
			rest = rest[n:]
		}
		s.Body.End([]http.Field{{A: "t", B: []byte("v")}}, nil)
	})
	var got []byte
	all.Go(func() {
		for {
			there := make(chan struct{})
			s.Answer.OnBytes(func() { close(there) })
			<-there
			b, err := s.Answer.Bytes()
			if errors.Is(err, io.EOF) {
				return
			}
			got = append(got, b...)
			s.Answer.Discard(len(b))
		}
	})
	if code := g.sentCode(sent); code != fine { // it waits
		t.Errorf("error %d of sent", code)
	}
	all.Wait()
	if !bytes.Equal(got, text) {
		t.Errorf("%d bytes of %d came back, or others", len(got), len(text))
	}
	if list := s.Answer.Trailers(); len(list) != 1 || list[0].A != "t" {
		t.Errorf("the trailers are %q", list)
	}
	g.ready()
}

// TestClientGoes has a client go while the guest waits to write, and to read.
func TestClientGoes(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	s := newServer(t, "POST").withBody("ab")
	handled, _ := g.future("sent-future")
	g.call("consume-request", g.accept(s), handled, addrResult)
	body, trailers := g.ends()
	if n := g.call("bytes.read", body, addrData, 10); n != 2<<4 {
		t.Errorf("a read ended with %#x", n)
	}
	r, w := g.pair()
	response, sent, _ := g.response(r)
	g.respond(s, response)
	g.call("bytes.read-async", body, addrData, 10)
	for g.call("bytes.write-async", w, addrData, dataSize) != blocked {
	}
	if n := s.Answer.Len(); n != http.PipeSize {
		t.Errorf("the pipe has %d bytes", n)
	}

	s.Answer.Close(errors.New("the client went away"))
	s.Body.End(nil, errors.New("the client went away"))
	if got := g.waitFor(w); got&15 != dropped {
		t.Errorf("the write ended with %#x", got)
	}
	if got := g.waitFor(body); got != dropped {
		t.Errorf("the read ended with %#x", got)
	}
	g.call("trailer-future.read", trailers, addrFuture)
	if code := g.code(addrFuture, httpCode); code != terminated {
		t.Errorf("the request's trailers: error %d", code)
	}
	if code := g.sentCode(sent); code != terminated {
		t.Errorf("error %d of sent", code)
	}
	if !s.Answer.Ended() {
		t.Error("the answer has no end")
	}
	g.ready()
}

// TestClientGoesBeforeTheResponse has a client go before the guest has a response.
func TestClientGoesBeforeTheResponse(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	s := newServer(t, "GET")
	request := g.accept(s)
	s.Answer.Close(nil)
	r, w := g.pair()
	response, sent, _ := g.response(r)
	g.respond(s, response)
	if got := g.call("bytes.write-async", w, addrData, 1); got != dropped {
		t.Errorf("a write ended with %#x", got)
	}
	if code := g.sentCode(sent); code != terminated || !s.Answer.Ended() {
		t.Errorf("error %d of sent; the answer ended: %v", code, s.Answer.Ended())
	}
	g.call("drop-request", request)
	g.ready()
}

// TestBodyThatIsNotRead has a guest that drops the request, or its stream: who writes the body
// hears it.
func TestBodyThatIsNotRead(t *testing.T) {
	for name, end := range map[string]func(g *guest, request int){
		"dropped request": func(g *guest, request int) { g.call("drop-request", request) },
		"dropped stream": func(g *guest, request int) {
			handled, _ := g.future("sent-future")
			g.call("consume-request", request, handled, addrResult)
			body, trailers := g.ends()
			g.call("bytes.drop-readable", body)
			g.call("trailer-future.read", trailers, addrFuture)
			if b := g.get(addrFuture, 9); b[0] != 0 || b[httpCode] != 0 {
				g.t.Errorf("the trailers are %x", b)
			}
		},
		"request that is sent on": func(g *guest, request int) {
			g.call("send", request, addrResult)
			if got := g.code(addrResult, httpCode); got != denied {
				g.t.Errorf("send: error %d", got)
			}
		},
	} {
		g := newGuest(t, wasi.Config{})
		s := newServer(t, "POST").withBody("text")
		end(g, g.accept(s))
		if _, err := s.Body.Write([]byte("x")); !errors.Is(err, http.ErrGone) {
			t.Errorf("%s: writing more of the body: %v", name, err)
		}
		response, _, trailers := g.response(0)
		g.respond(s, response)
		g.endTrailers(trailers, 0)
		s.is(200, "", io.EOF.Error())
		g.ready()
	}
}

// TestBodyAfterTheAnswer has a guest hold the request's body when its answer has ended: with the
// stream, or with the request.
func TestBodyAfterTheAnswer(t *testing.T) {
	for _, before := range []bool{true, false} {
		g := newGuest(t, wasi.Config{})
		s := newServer(t, "POST").withBody("text")
		request := g.accept(s)
		handled, _ := g.future("sent-future")
		consume := func() (body, trailers int) {
			g.call("consume-request", request, handled, addrResult)
			return g.ends()
		}
		var body, trailers int
		if before {
			body, trailers = consume()
		}
		response, _, end := g.response(0)
		g.respond(s, response)
		g.endTrailers(end, 0)
		s.Body.Free()
		if !before {
			body, trailers = consume()
		}
		if got := g.call("bytes.read", body, addrData, 10); got != dropped {
			t.Errorf("before %v: a read ended with %#x", before, got)
		}
		g.call("trailer-future.read", trailers, addrFuture)
		if code := g.code(addrFuture, httpCode); code != terminated {
			t.Errorf("before %v: the trailers: error %d", before, code)
		}
		g.ready()
	}
}

// TestFail ends exchanges by a code of the guest, whose text is not told.
func TestFail(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	s := newServer(t, "GET").withBody("text")
	request := g.accept(s)
	code := bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeInternalError}
	code.InternalError.Is, code.InternalError.Value = true, "secret"
	g.host.Fail(s.Exchange, code)
	_, head, err := s.Next()
	var got http.CodeError
	if head != nil || !errors.As(err, &got) || got != "internal-error" || strings.Contains(err.Error(), "secret") {
		t.Errorf("the exchange failed with %v", err)
	}
	if _, err := s.Body.Write([]byte("x")); !errors.Is(err, http.ErrGone) {
		t.Errorf("writing more of the body: %v", err)
	}
	r, w := g.pair()
	response, sent, _ := g.response(r)
	g.respond(s, response)
	if code := g.sentCode(sent); code != terminated {
		t.Errorf("a response after that: error %d", code)
	}
	if got := g.call("bytes.write-async", w, addrData, 1); got != dropped {
		t.Errorf("a write to that ended with %#x", got)
	}
	g.call("drop-request", request)
	g.ready()
}

// TestTwoResponses has one exchange answered twice.
func TestTwoResponses(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	s := newServer(t, "GET")
	g.call("drop-request", g.accept(s))
	r, w := g.pair()
	first, _, trailers := g.response(r)
	g.respond(s, first)
	second, sent, _ := g.response(0)
	g.respond(s, second)
	if code := g.sentCode(sent); code != terminated {
		t.Errorf("error %d of the second response", code)
	}
	g.send(w, []byte("first"))
	g.call("bytes.drop-writable", w)
	g.endTrailers(trailers, 0)
	s.is(200, "first", io.EOF.Error())
	g.ready()
}

// counted is memory with a bound.
type counted struct{ free int }

func (c *counted) Take(n int) bool {
	if n > c.free {
		return false
	}
	c.free -= n
	return true
}
func (c *counted) Give(n int) { c.free += n }

// TestNoMemory has no memory for the body of an answer, or for little of it, and no room for its
// stream.
func TestNoMemory(t *testing.T) {
	for _, test := range []struct{ memory, descriptors, sent int }{{0, 0, internal}, {8 << 10, 0, internal}, {1 << 20, 0, fine}, {1 << 20, 4, internal}} {
		g := newGuest(t, wasi.Config{MaxDescriptors: test.descriptors})
		s := newServer(t, "GET")
		memory := &counted{test.memory}
		s.Answer.Memory = memory
		g.call("drop-request", g.accept(s))
		r, w := g.pair()
		response, sent, trailers := g.response(r)
		g.respond(s, response)
		at, n := g.put(make([]byte, 10<<10))
		if g.send(w, g.get(at, n)) == n {
			g.call("bytes.drop-writable", w)
			g.endTrailers(trailers, 0)
		}
		if code := g.sentCode(sent); code != test.sent {
			t.Errorf("memory %d, descriptors %d: error %d of sent", test.memory, test.descriptors, code)
		}
		if text, _ := s.bytes(); test.sent == fine && len(text) != n {
			t.Errorf("%d bytes of %d came", len(text), n)
		}
		if s.Answer.Free(); memory.free != test.memory || !s.Answer.Ended() {
			t.Errorf("%d bytes are free of %d", memory.free, test.memory)
		}
		g.ready()
	}
}

// TestRequestsAreBounded begins exchanges until the guest holds too many objects.
func TestRequestsAreBounded(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	for range http.MaxObjects / 2 {
		g.accept(newServer(t, "GET"))
	}
	if _, err := g.host.Request(g.x, newServer(t, "GET").Exchange); !errors.Is(err, http.ErrObjects) {
		t.Errorf("one request too many: %v", err)
	}
}
