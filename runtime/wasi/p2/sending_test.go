package p2

import (
	"bytes"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/fakenetwork"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// sends lets the guest send requests.
func (c *caller) sends() *caller {
	c.t.Helper()
	of, err := client.New(client.Config{Network: &fakenetwork.Network{
		Hosts: map[string][]netip.Addr{"private.example": {netip.MustParseAddr("10.0.0.1")}}, Denied: map[string]bool{"denied.example": true},
	}})
	if err != nil {
		c.t.Fatal(err)
	}
	s := http.NewSender(c.ctx, of)
	c.t.Cleanup(func() { s.Close(); of.Close() })
	c.h.SendBy(s)
	return c
}

// outgoing makes a request.
func (c *caller) outgoing(method bindings.MethodCase, url string, headers ...string) bindings.OutgoingRequest {
	c.t.Helper()
	scheme, rest, _ := strings.Cut(url, "://")
	authority, path, _ := strings.Cut(rest, "/")
	r := must[bindings.OutgoingRequest](c.t)(c.b.HTTP.NewOutgoingRequest(c.ctx, c.fields(headers...)))
	c.want("set-method", r.SetMethod(c.ctx, bindings.Method{Case: method}), nil)
	of := bindings.Scheme{Case: bindings.SchemeHTTP}
	if scheme != "http" {
		of = bindings.Scheme{Case: bindings.SchemeOther, Other: scheme}
	}
	c.want("set-scheme", r.SetScheme(c.ctx, typed.Some(of)), nil)
	c.want("set-authority", r.SetAuthority(c.ctx, typed.Some(authority)), nil)
	c.want("set-path", r.SetPathWithQuery(c.ctx, typed.Some("/"+path)), nil)
	return r
}

func (c *caller) send(r bindings.OutgoingRequest) bindings.FutureIncomingResponse {
	c.t.Helper()
	return must[bindings.FutureIncomingResponse](c.t)(c.b.OutgoingHandler.Handle(c.ctx, r, typed.Option[bindings.RequestOptions]{}))
}

// response waits for the response, as a guest does.
func (c *caller) responseOf(f bindings.FutureIncomingResponse) (bindings.IncomingResponse, error) {
	c.t.Helper()
	p := must[bindings.Pollable](c.t)(f.Subscribe(c.ctx))
	c.want("block", p.Block(c.ctx), nil)
	p.Drop()
	got, err := f.Get(c.ctx)
	if err != nil || !got.Is || got.Value.Failed {
		c.t.Fatalf("get: %v, %v", got, err)
	}
	if again, err := f.Get(c.ctx); err != nil || !again.Is || !again.Value.Failed {
		c.t.Errorf("get, again: %v, %v", again, err)
	}
	f.Drop()
	if got.Value.OK.Failed {
		return nil, got.Value.OK.Error
	}
	return got.Value.OK.OK, nil
}

// TestSending: a guest writes some of a body before it sends the request and some after that, and
// reads the response with its trailers.
func TestSending(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		b, _ := io.ReadAll(r.Body)
		w.WriteHeader(nethttp.StatusCreated)
		_, _ = w.Write(bytes.ToUpper(b))
		_ = nethttp.NewResponseController(w).Flush()
		w.Header().Set(nethttp.TrailerPrefix+"End", fmt.Sprint(r.Trailer.Get("Sum"), r.Header.Get("X"), r.ContentLength))
	}))
	defer s.Close()
	c := newCaller(t, wasi.Config{}).sends()
	r := c.outgoing(bindings.MethodPost, s.URL+"/a", "x", "1", "trailer", "sum")
	body := must[bindings.OutgoingBody](t)(r.Body(c.ctx))
	out := must[bindings.OutputStream](t)(body.Write(c.ctx))
	c.want("write, early", write(c.ctx, out, "some "), nil)
	f := c.send(r)
	if got, err := f.Get(c.ctx); got.Is || err != nil {
		t.Errorf("get, early: %v, %v", got, err)
	}
	c.want("write", write(c.ctx, out, "text"), nil)
	out.Drop()
	c.want("finish", c.b.HTTP.OutgoingBodyFinish(c.ctx, body, typed.Some(c.fields("sum", "2"))), nil)
	got, err := c.responseOf(f)
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := got.Status(c.ctx); status != 201 {
		t.Errorf("the status is %d", status)
	}
	in := must[bindings.IncomingBody](t)(got.Consume(c.ctx))
	_, err = got.Consume(c.ctx)
	c.want("consume, again", err, typed.ErrFailed)
	stream := must[bindings.InputStream](t)(in.Stream(c.ctx))
	if text := c.all(stream); text != "SOME TEXT" {
		t.Errorf("the body is %q", text)
	}
	stream.Drop()
	trailers := must[bindings.FutureTrailers](t)(c.b.HTTP.IncomingBodyFinish(c.ctx, in))
	end, err := trailers.Get(c.ctx)
	if err != nil || !end.Is || !end.Value.OK.OK.Is {
		t.Fatalf("the trailers are %v, %v", end, err)
	}
	if text := c.entries(end.Value.OK.OK.Value); text != "end=21-1" {
		t.Errorf("the trailers are %s", text)
	}
	end.Value.OK.OK.Value.Drop()
	trailers.Drop()
	got.Drop()
	c.held()
}

// TestSendingFails: codes of requests that reach no server, or not as a whole.
func TestSendingFails(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, r *nethttp.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	c := newCaller(t, wasi.Config{}).sends()
	for url, want := range map[string]bindings.HTTPErrorCodeCase{
		"http://denied.example/": bindings.HTTPErrorCodeHTTPRequestDenied, "http://unknown.example/": bindings.HTTPErrorCodeDNSError,
		"http://private.example/": bindings.HTTPErrorCodeDestinationIPProhibited,
	} {
		_, err := c.responseOf(c.send(c.outgoing(bindings.MethodGet, url)))
		c.want(url, err, bindings.HTTPErrorCode{Case: want})
	}
	_, err := c.b.OutgoingHandler.Handle(c.ctx, c.outgoing(bindings.MethodGet, "ftp://a/"), typed.Option[bindings.RequestOptions]{})
	c.want("another scheme", err, bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeHTTPProtocolError})

	r := c.outgoing(bindings.MethodPost, s.URL+"/")
	body := must[bindings.OutgoingBody](t)(r.Body(c.ctx))
	f := c.send(r)
	body.Drop() // it is not finished
	_, err = c.responseOf(f)
	c.want("a body that is dropped", err, bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeHTTPProtocolError})

	r = c.outgoing(bindings.MethodPost, s.URL+"/", "content-length", "9")
	body = must[bindings.OutgoingBody](t)(r.Body(c.ctx))
	out := must[bindings.OutputStream](t)(body.Write(c.ctx))
	f = c.send(r)
	c.want("write", write(c.ctx, out, "four"), nil)
	out.Drop()
	short := bindings.HTTPErrorCode{Case: bindings.HTTPErrorCodeHTTPRequestBodySize, HTTPRequestBodySize: typed.Some[uint64](4)}
	c.want("finish", c.b.HTTP.OutgoingBodyFinish(c.ctx, body, typed.Option[bindings.Trailers]{}), short)
	_, err = c.responseOf(f)
	c.want("a body that is too short", err, short)
	c.held()
}

// TestSendingIsDropped: a guest that drops what it has of a request ends it.
func TestSendingIsDropped(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/body" {
			_ = nethttp.NewResponseController(w).Flush()
		}
		began <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	}))
	defer s.Close()
	c := newCaller(t, wasi.Config{}).sends()
	f := c.send(c.outgoing(bindings.MethodGet, s.URL+"/head"))
	<-began
	f.Drop()
	<-ended
	f = c.send(c.outgoing(bindings.MethodGet, s.URL+"/body"))
	<-began
	got, err := c.responseOf(f)
	if err != nil {
		t.Fatal(err)
	}
	got.Drop()
	<-ended
	c.held()
}

// TestCodesAreThoseOfClients: a client's codes have the order of WIT.
func TestCodesAreThoseOfClients(t *testing.T) {
	for code := client.DNSTimeout; code <= client.InternalError; code++ {
		if got := sentCode(&client.Error{Code: code}).Error(); got != code.String() {
			t.Errorf("%v becomes %s", code, got)
		}
	}
}
