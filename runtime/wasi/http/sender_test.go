package http_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/fakenetwork"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
)

// account counts memory.
type account struct {
	mu    sync.Mutex
	taken int
}

func (a *account) Take(n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken += n
	return true
}

func (a *account) Give(n int) { a.Take(-n) }

func (a *account) held() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken
}

// newSender makes what sends the requests of a guest. In the end nothing of its memory is left.
func newSender(t *testing.T) (*http.Sender, *account) {
	t.Helper()
	memory := &account{}
	c, err := client.New(client.Config{Network: &fakenetwork.Network{}, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	s := http.NewSender(t.Context(), c)
	t.Cleanup(func() {
		s.Close()
		c.Close()
		if n := memory.held(); n != 0 {
			t.Errorf("%d bytes are still counted", n)
		}
	})
	return s, memory
}

func at(url string) string { return strings.TrimPrefix(url, "http://") }

// receiveAll waits for a response, and reads it.
func receiveAll(t *testing.T, o *http.Outgoing) (*http.Head, string, []http.Field, error) {
	t.Helper()
	head, err := headOf(t, o)
	if err != nil {
		return nil, "", nil, err
	}
	var body bytes.Buffer
	for {
		b, err := o.Response.Bytes()
		switch {
		case err == nil:
			body.Write(b)
			o.Response.Discard(len(b))
		case err == wasi.ErrWouldBlock: //nolint:errorlint // a Pipe returns it as it is
			more := make(chan struct{})
			o.Response.OnBytes(func() { close(more) })
			<-more
		case errors.Is(err, io.EOF):
			trailers := o.Response.Trailers()
			o.Response.Close(nil)
			return head, body.String(), trailers, nil
		default:
			o.Response.Close(nil)
			return head, body.String(), nil, err
		}
	}
}

func headOf(t *testing.T, o *http.Outgoing) (*http.Head, error) {
	t.Helper()
	there := make(chan struct{})
	o.OnHead(func() { close(there) })
	<-there
	return o.Head()
}

func wantCode(t *testing.T, what string, err error, want client.Code) {
	t.Helper()
	var e *client.Error
	if !errors.As(err, &e) || e.Code != want {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// TestSend: fields, bytes and trailers of both sides.
func TestSend(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("A", r.Header.Get("X")+r.Trailer.Get("Sum")+r.Header.Get("Connection")+r.Header.Get("User-Agent"))
		w.Header().Set("Connection", "close")
		w.WriteHeader(nethttp.StatusCreated)
		_, _ = w.Write(bytes.ToUpper(b))
		_ = nethttp.NewResponseController(w).Flush()
		w.Header().Set(nethttp.TrailerPrefix+"End", "e")
	}))
	defer s.Close()
	sender, _ := newSender(t)
	o := &http.Outgoing{
		Method: "POST", Scheme: "http", Authority: at(s.URL), PathWithQuery: "/",
		Headers: []http.Field{{A: "x", B: []byte("1")}, {A: "trailer", B: []byte("sum")}, {A: "host", B: []byte("evil")}},
		Body:    &http.Pipe{},
	}
	sent := make(chan error, 1)
	o.OnSent(func(err error) { sent <- err })
	_, _ = o.Body.Write([]byte("some "))
	if err := sender.Send(o); err != nil {
		t.Fatal(err)
	}
	_, _ = o.Body.Write([]byte("text"))
	o.Body.End([]http.Field{{A: "sum", B: []byte("2")}, {A: "content-length", B: []byte("9")}}, nil)
	head, body, trailers, err := receiveAll(t, o)
	if err != nil || head.Status != 201 || body != "SOME TEXT" {
		t.Fatalf("the response is %v, %q, %v", head, body, err)
	}
	for _, f := range head.Headers {
		if f.A == "a" && string(f.B) != "12" || f.A == "connection" {
			t.Errorf("the header %s is %q", f.A, f.B)
		}
	}
	if len(trailers) != 1 || trailers[0].A != "end" || string(trailers[0].B) != "e" {
		t.Errorf("the trailers are %v", trailers)
	}
	if err := <-sent; err != nil {
		t.Errorf("the request was sent: %v", err)
	}
}

// TestRefusedRequests are not sent.
func TestRefusedRequests(t *testing.T) {
	sender, _ := newSender(t)
	big := []http.Field{{A: "content-length", B: []byte("1")}}
	for _, test := range []struct {
		what string
		o    *http.Outgoing
		want client.Code
	}{
		{"a scheme", &http.Outgoing{Method: "GET", Scheme: "ftp", Authority: "a"}, client.ProtocolError},
		{"no authority", &http.Outgoing{Method: "GET", Scheme: "http"}, client.RequestURIInvalid},
		{"a user", &http.Outgoing{Method: "GET", Scheme: "http", Authority: "u:p@a"}, client.RequestURIInvalid},
		{"a fragment", &http.Outgoing{Method: "GET", Scheme: "http", Authority: "a", PathWithQuery: "/a#b"}, client.RequestURIInvalid},
		{"a relative path", &http.Outgoing{Method: "GET", Scheme: "http", Authority: "a", PathWithQuery: "a"}, client.RequestURIInvalid},
		{"a method", &http.Outgoing{Method: "G T", Scheme: "http", Authority: "a"}, client.RequestMethodInvalid},
		{"a tunnel", &http.Outgoing{Method: "CONNECT", Scheme: "http", Authority: "a"}, client.RequestMethodInvalid},
		{"a length without a body", &http.Outgoing{Method: "GET", Scheme: "http", Authority: "a", Headers: big}, client.RequestBodySize},
	} {
		wantCode(t, test.what, sender.Send(test.o), test.want)
	}
	body := &http.Pipe{}
	wantCode(t, "no network", http.NewSender(t.Context(), nil).Send(&http.Outgoing{Method: "GET", Scheme: "http", Authority: "a", Body: body}), client.RequestDenied)
	if _, err := body.Write([]byte("a")); err == nil {
		t.Error("the body of a request that is denied takes bytes")
	}
	if http.Timeout(typed.Some[uint64](0)) <= 0 || http.Timeout(typed.Some[uint64](1<<63)) <= 0 || http.Timeout(typed.Option[uint64]{}) != 0 {
		t.Error("time-outs are not clamped")
	}
}

// TestUnfinishedBodies: a request whose body is not finished reaches no end at the server.
func TestUnfinishedBodies(t *testing.T) {
	ended := make(chan error, 1)
	s := httptest.NewServer(nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		_, err := io.ReadAll(r.Body)
		ended <- err
	}))
	defer s.Close()
	sender, _ := newSender(t)
	for why, want := range map[error]client.Code{
		http.ErrIncomplete:                        client.ProtocolError,
		&http.SizeError{Declared: 9, Written: 12}: client.RequestBodySize,
	} {
		o := &http.Outgoing{Method: "POST", Scheme: "http", Authority: at(s.URL), Body: &http.Pipe{}}
		sent := make(chan error, 1)
		o.OnSent(func(err error) { sent <- err })
		_, _ = o.Body.Write([]byte("text"))
		if err := sender.Send(o); err != nil {
			t.Fatal(err)
		}
		o.Body.End(nil, why)
		_, _, _, err := receiveAll(t, o)
		wantCode(t, "the response", err, want)
		wantCode(t, "it was sent", <-sent, want)
		if err := <-ended; err == nil {
			t.Error("the server got a whole body")
		}
	}
}

// TestBackPressure: who reads nothing is sent no more than pipes and sockets hold, both ways.
func TestBackPressure(t *testing.T) {
	stop := make(chan struct{})
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.Method == nethttp.MethodPost {
			<-stop
			return
		}
		piece := make([]byte, 64<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	sender, memory := newSender(t)
	up := &http.Outgoing{Method: "POST", Scheme: "http", Authority: at(s.URL), Body: &http.Pipe{Memory: sender.Memory()}}
	if err := sender.Send(up); err != nil {
		t.Fatal(err)
	}
	piece, total := make([]byte, 64<<10), 0
	// The sockets' buffers are larger than the pipe, and take what the client has read.
	const sockets = 16 << 20
	for total < sockets {
		n, err := up.Body.Write(piece)
		total += n
		if err == nil {
			continue
		}
		more := make(chan struct{})
		up.Body.OnSpace(func() { close(more) })
		select {
		case <-more:
		case <-time.After(time.Second): // nothing takes it any more
			total += sockets
		}
	}
	if total < sockets+http.PipeSize || total > sockets*2-1 {
		t.Errorf("%d bytes were taken", total-sockets)
	}
	down := &http.Outgoing{Method: "GET", Scheme: "http", Authority: at(s.URL)}
	if err := sender.Send(down); err != nil {
		t.Fatal(err)
	}
	if _, err := headOf(t, down); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the pipe is full", func() bool { return down.Response.Len() == http.PipeSize })
	if n := memory.held(); n > 2*http.PipeSize+2*client.RequestMemory+2*client.ConnectionMemory {
		t.Errorf("the guest pays for %d bytes", n)
	}
	close(stop)
	down.Cancel()
	up.Cancel()
}

// TestCancel: a request that the guest wants no more ends at the server.
func TestCancel(t *testing.T) {
	ended := make(chan struct{}, 3)
	began := make(chan struct{}, 3)
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/body" {
			_ = nethttp.NewResponseController(w).Flush()
		}
		began <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	}))
	defer s.Close()
	sender, memory := newSender(t)
	for path, end := range map[string]func(o *http.Outgoing){
		"/head": (*http.Outgoing).Cancel,
		"/body": func(o *http.Outgoing) {
			_, _ = headOf(t, o)
			o.Response.Close(nil)
		},
	} {
		o := &http.Outgoing{Method: "GET", Scheme: "http", Authority: at(s.URL), PathWithQuery: path}
		if err := sender.Send(o); err != nil {
			t.Fatal(err)
		}
		<-began
		end(o)
		<-ended
	}
	eventually.True(t, "memory is given back", func() bool { return memory.held() == 0 })
}

// TestLostConnection: a guest that waits for its response, in the middle of its body, hears that
// the server has gone.
func TestLostConnection(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		if c, _, err := nethttp.NewResponseController(w).Hijack(); err == nil {
			_ = c.Close()
		}
	}))
	defer s.Close()
	sender, _ := newSender(t)
	o := &http.Outgoing{Method: "POST", Scheme: "http", Authority: at(s.URL), Body: &http.Pipe{}}
	_, _ = o.Body.Write([]byte("some"))
	if err := sender.Send(o); err != nil {
		t.Fatal(err)
	}
	_, err := headOf(t, o)
	wantCode(t, "the response", err, client.ConnectionTerminated)
	if _, err := o.Body.Write([]byte("more")); err == nil {
		t.Error("the body takes bytes")
	}
}

// TestSenderCloses: the end of a guest ends its requests, with all that it holds of them.
func TestSenderCloses(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		_ = nethttp.NewResponseController(w).EnableFullDuplex()
		_, _ = io.WriteString(w, "some")
		_ = nethttp.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body) // until the client is gone
	}))
	defer s.Close()
	memory := &account{}
	c, err := client.New(client.Config{Network: &fakenetwork.Network{}, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, kill := context.WithCancel(t.Context())
	sender := http.NewSender(ctx, c)
	o := &http.Outgoing{Method: "POST", Scheme: "http", Authority: at(s.URL), Body: &http.Pipe{Memory: memory}}
	_, _ = o.Body.Write([]byte("text"))
	if err := sender.Send(o); err != nil {
		t.Fatal(err)
	}
	if _, err := headOf(t, o); err != nil {
		t.Fatal(err)
	}
	kill()
	sender.Close()
	c.Close()
	if n := memory.held(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}
