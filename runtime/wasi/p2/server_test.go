package p2

import (
	"errors"
	"io"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// server is the other end of an exchange.
type server struct {
	t      *testing.T
	e      *http.Exchange
	done   chan struct{}
	inform []http.Head
	head   *http.Head
	failed error
	body   []byte
	end    error
}

// newServer makes an exchange. With a goroutine, that takes the answer until it has ended.
func newServer(t *testing.T, method string, body *http.Pipe) *server {
	return &server{t: t, e: &http.Exchange{
		Method: method, Scheme: "https", Authority: "example.com", PathWithQuery: "/a?b",
		Headers: []field{{A: "a", B: []byte("v")}}, Body: body, Answer: &http.Pipe{Lazy: true},
	}, done: make(chan struct{})}
}

func (s *server) serve() *server {
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	s.e.OnChange(tell)
	s.t.Cleanup(func() { s.e.Fail(io.ErrUnexpectedEOF); <-s.done })
	go func() {
		defer close(s.done)
		for s.head == nil && s.failed == nil {
			<-changed
			var inform []http.Head
			inform, s.head, s.failed = s.e.Next()
			s.inform = append(s.inform, inform...)
		}
		for s.head != nil {
			b, err := s.e.Answer.Bytes()
			if err == wasi.ErrWouldBlock { //nolint:errorlint // a Pipe returns it as it is
				s.e.Answer.OnBytes(tell)
				<-changed
				continue
			}
			if err != nil {
				s.end = err
				_, _, s.failed = s.e.Next()
				return
			}
			s.body = append(s.body, b...)
			s.e.Answer.Discard(len(b))
		}
	}()
	return s
}

// wait waits for the end of the answer.
func (s *server) wait() *server { <-s.done; return s }

// want fails the test unless the answer is whole and has this body.
func (s *server) want(status int, body string) {
	s.t.Helper()
	s.wait()
	if s.head == nil || s.head.Status != status || s.failed != nil || string(s.body) != body || !errors.Is(s.end, io.EOF) {
		s.t.Errorf("the answer is %v, %v with the body %.40q, %v, want %d with %.40q", s.head, s.failed, s.body, s.end, status, body)
	}
}

// handled is what a guest gets.
type handled struct {
	*caller
	request bindings.IncomingRequest
	out     bindings.ResponseOutparam
}

func (c *caller) handle(s *server) *handled {
	c.t.Helper()
	r, o, err := c.h.Incoming(s.e)
	if err != nil {
		c.t.Fatal(err)
	}
	return &handled{c, r, o}
}

func (c *caller) fields(of ...string) bindings.Fields {
	c.t.Helper()
	f := must[bindings.Fields](c.t)(c.b.HTTP.NewFields(c.ctx))
	for i := 0; i < len(of); i += 2 {
		c.want("append", f.Append(c.ctx, of[i], []byte(of[i+1])), nil)
	}
	return f
}

// response makes a response with its body and the stream of that.
func (c *caller) response(headers ...string) (bindings.OutgoingResponse, bindings.OutgoingBody, bindings.OutputStream) {
	c.t.Helper()
	r := must[bindings.OutgoingResponse](c.t)(c.b.HTTP.NewOutgoingResponse(c.ctx, c.fields(headers...)))
	b := must[bindings.OutgoingBody](c.t)(r.Body(c.ctx))
	return r, b, must[bindings.OutputStream](c.t)(b.Write(c.ctx))
}

type setResult = typed.Result[bindings.OutgoingResponse, bindings.HTTPErrorCode]

func (h *handled) set(r bindings.OutgoingResponse) {
	h.t.Helper()
	h.want("set", h.b.HTTP.ResponseOutparamSet(h.ctx, h.out, setResult{OK: r}), nil)
}

func (c *caller) finish(b bindings.OutgoingBody) error {
	return c.b.HTTP.OutgoingBodyFinish(c.ctx, b, typed.Option[bindings.Trailers]{})
}

// wantCode fails the test unless the error of a stream has this code of wasi:http.
func (c *caller) wantCode(what string, err error, want bindings.HTTPErrorCodeCase) {
	c.t.Helper()
	var e bindings.StreamError
	if !errors.As(err, &e) || e.Case != bindings.StreamErrorLastOperationFailed {
		c.t.Errorf("%s: %v, want last-operation-failed", what, err)
		return
	}
	code, err := c.b.HTTP.HTTPErrorCode(c.ctx, e.LastOperationFailed)
	if text, _ := e.LastOperationFailed.ToDebugString(c.ctx); err != nil || !code.Is || code.Value.Case != want || text != code.Value.Error() {
		c.t.Errorf("%s: the error is %v, %v, %q, want %v", what, code, err, text, bindings.HTTPErrorCode{Case: want})
	}
	e.LastOperationFailed.Drop()
}

// codeCase is the case of an error-code, and a text for another error.
func codeCase(err error) any {
	var code bindings.HTTPErrorCode
	if !errors.As(err, &code) {
		return err
	}
	return code.Case
}
