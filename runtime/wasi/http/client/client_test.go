package client

import (
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/fakenetwork"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	if cfg.Network == nil {
		cfg.Network = &fakenetwork.Network{}
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// get sends a request without a body, and reads the response.
func (c *Client) get(t *testing.T, url string, times Timeouts) (*Response, string, error) {
	t.Helper()
	scheme, rest, _ := strings.Cut(url, "://")
	authority, path, _ := strings.Cut(rest, "/")
	return c.send(t, &Request{Method: "GET", Scheme: scheme, Authority: authority, Path: "/" + path, Timeouts: times})
}

func (c *Client) send(t *testing.T, r *Request) (*Response, string, error) {
	t.Helper()
	if r.Header == nil {
		r.Header = nethttp.Header{}
	}
	got, err := c.Do(t.Context(), r)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(got.Body)
	return got, string(body), err
}

// wantCode fails the test unless the error has the code.
func wantCode(t *testing.T, err error, want Code) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != want {
		t.Errorf("the error is %v (%v), want %v", err, errors.Unwrap(err), want)
	}
}

func serve(t *testing.T, h nethttp.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// TestRequestAsItIs: what the guest sends reaches the server, and nothing that it did not send.
func TestRequestAsItIs(t *testing.T) {
	var seen []byte
	l := listen(t, func(c net.Conn) {
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		seen = b[:n]
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nContent-Encoding: gzip\r\n\r\nok")
	})
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	c := newClient(t, Config{})
	for path, want := range map[string]string{
		"/a%2Fb?x=%20&y": "/a%2Fb?x=%20&y", "": "/", "?q": "/?q", "//two/sl%2fash": "//two/sl%2fash", "/é|": "/%C3%A9|",
	} {
		r, body, err := c.send(t, &Request{Method: "GET", Scheme: "http", Authority: l, Path: path})
		if err != nil || r.Status != 200 || body != "ok" || r.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %v, %q, %v", path, r, body, err)
		}
		if want := "GET " + want + " HTTP/1.1\r\nHost: " + l + "\r\n\r\n"; string(seen) != want {
			t.Errorf("the server got %q, want %q", seen, want)
		}
	}
	for _, path := range []string{"a", "*", "http://x/"} {
		_, _, err := c.send(t, &Request{Method: "GET", Scheme: "http", Authority: l, Path: path})
		wantCode(t, err, RequestURIInvalid)
	}
	_, _, err := c.send(t, &Request{Method: "GET", Scheme: "http", Authority: "user@" + l, Path: "/"})
	wantCode(t, err, RequestURIInvalid)
	_, _, err = c.send(t, &Request{Method: "CONNECT", Scheme: "http", Authority: l, Path: "/"})
	wantCode(t, err, RequestMethodInvalid)
}

// TestRedirectsAreTheGuests: a redirect is a response as any other.
func TestRedirectsAreTheGuests(t *testing.T) {
	url := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, "/elsewhere", nethttp.StatusFound)
	})
	r, _, err := newClient(t, Config{}).get(t, url+"/", Timeouts{})
	if err != nil || r.Status != nethttp.StatusFound || r.Header.Get("Location") != "/elsewhere" {
		t.Errorf("the response is %v, %v", r, err)
	}
}

// TestConnectionsAreKept, and counted, and closed when they are cut.
func TestConnectionsAreKept(t *testing.T) {
	var made atomic.Int32
	s := httptest.NewUnstartedServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		_, _ = io.WriteString(w, "text")
	}))
	s.Config.ConnState = func(_ net.Conn, state nethttp.ConnState) {
		if state == nethttp.StateNew {
			made.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	network := &fakenetwork.Network{From: netip.MustParseAddr("127.0.0.7")}
	c := newClient(t, Config{Network: network})
	for range 3 {
		if _, body, err := c.get(t, s.URL+"/", Timeouts{}); body != "text" || err != nil {
			t.Fatal(body, err)
		}
	}
	if made.Load() != 1 || network.Watched() != 1 {
		t.Errorf("%d connections were made, %d are watched", made.Load(), network.Watched())
	}
	if n := c.Traffic(); n.Received < 300 || n.Sent < 100 || n.ReceiveErrors+n.SendErrors > 0 {
		t.Errorf("the traffic is %v", n)
	}
	network.Cut()
	eventually.True(t, "the connection is closed", func() bool { return network.Watched() == 0 })
	if _, _, err := c.get(t, s.URL+"/", Timeouts{}); err != nil || made.Load() != 2 {
		t.Errorf("after a cut: %v, %d connections", err, made.Load())
	}
}

// TestDecisions of the guest's network become codes.
func TestDecisions(t *testing.T) {
	url := serve(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = io.WriteString(w, "text") })
	port := url[strings.LastIndexByte(url, ':')+1:]
	one, two := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.9")
	closed := closedPort(t)
	network := &fakenetwork.Network{
		Hosts: map[string][]netip.Addr{
			"one.example": {one}, "elsewhere.example": {two}, "both.example": {two, one}, "private.example": {netip.MustParseAddr("10.0.0.1")},
		},
		Denied: map[string]bool{"denied.example": true, "127.0.0.9": true},
		Failed: map[string]error{
			"timeout.example": wasi.ErrWouldBlock, "broken.example": wasi.ErrIO, "many.example": wasi.ErrNoBuffers,
			"late.example": wasi.ErrAccess, "coded.example": codedError{}, "bad..example": wasi.ErrInvalid,
		},
		Hang: map[string]bool{"hang.example": true},
	}
	c := newClient(t, Config{Network: network})
	for authority, want := range map[string]Code{
		"denied.example": RequestDenied, "late.example": RequestDenied, "unknown.example": DNSError, "timeout.example": DNSTimeout,
		"broken.example": DNSError, "many.example": ConnectionLimitReached, "bad..example": RequestURIInvalid,
		"elsewhere.example": DestinationIPProhibited, "private.example": DestinationIPProhibited, "10.0.0.1": DestinationIPProhibited,
		"169.254.169.254:80": DestinationIPProhibited, closed: ConnectionRefused, "hang.example": DNSTimeout,
		"[::ffff:10.0.0.1]": DestinationIPProhibited,
	} {
		_, _, err := c.get(t, "http://"+authority+"/", Timeouts{Connect: 100 * time.Millisecond})
		t.Log(authority)
		wantCode(t, err, want)
	}
	if asked := network.Asked(); slices.Contains(asked, "lookup denied.example") {
		t.Error("a name that is denied was looked up")
	}
	for _, host := range []string{"one.example", "both.example", "127.0.0.1"} {
		if _, body, err := c.get(t, "http://"+host+":"+port+"/", Timeouts{}); body != "text" || err != nil {
			t.Errorf("%s: %q, %v", host, body, err)
		}
	}
	_, _, err := c.get(t, "http://coded.example/", Timeouts{})
	var e *Error
	if !errors.As(err, &e) || e.Code != DNSError || e.Rcode != "SERVFAIL" {
		t.Errorf("the error is %+v", e)
	}
}

type codedError struct{}

func (codedError) Error() string { return "coded" }
func (codedError) Rcode() string { return "SERVFAIL" }
func (codedError) Unwrap() error { return wasi.ErrIO }

// closedPort is an address on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestSlowAddressIsPassed: the second address of a name is tried while the first one says nothing.
func TestSlowAddressIsPassed(t *testing.T) {
	url := serve(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = io.WriteString(w, "text") })
	full := fullListener(t)
	port := netip.MustParseAddrPort(strings.TrimPrefix(url, "http://")).Port()
	slow, quick := netip.MustParseAddr("127.0.0.8"), netip.MustParseAddr("127.0.0.1")
	c := newClient(t, Config{Network: &fakenetwork.Network{
		Hosts: map[string][]netip.Addr{"both.example": {slow, quick}},
		To:    map[netip.AddrPort]netip.AddrPort{netip.AddrPortFrom(slow, port): full},
	}})
	began := time.Now()
	_, body, err := c.get(t, "http://both.example:"+url[strings.LastIndexByte(url, ':')+1:]+"/", Timeouts{})
	if took := time.Since(began); body != "text" || err != nil || took < headStart || took > 10*headStart {
		t.Errorf("%q, %v after %v", body, err, took)
	}
}

// TestRoots: a guest trusts its own authorities, and no others.
func TestRoots(t *testing.T) {
	ca := authority.New(t, "test")
	s := httptest.NewUnstartedServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	s.TLS = serverTLS(t, ca)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	_, _, err := newClient(t, Config{}).get(t, s.URL+"/", Timeouts{})
	wantCode(t, err, TLSCertificateError)

	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, Config{Roots: []string{file}})
	if _, body, err := c.get(t, s.URL+"/", Timeouts{}); body != "HTTP/2.0" || err != nil {
		t.Errorf("the server saw %q, %v", body, err)
	}
	other := strings.Replace(s.URL, "127.0.0.1", "127.0.0.2", 1)
	_, _, err = c.get(t, other+"/", Timeouts{})
	wantCode(t, err, ConnectionRefused) // the server listens at one address
	for text, want := range map[string]string{"": "no certificate", strings.Repeat("#", maxRoots+1): "more than"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Network: &fakenetwork.Network{}, Roots: []string{file}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

// TestBounds: of requests, of what guests share, and of memory. All is given back.
func TestBounds(t *testing.T) {
	release := make(chan struct{})
	url := serve(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.WriteHeader(nethttp.StatusOK)
		_ = nethttp.NewResponseController(w).Flush()
		<-release
	})
	stock, files, memory := NewStock(6), wasi.NewFiles(100), &room{left: 1 << 20}
	c := newClient(t, Config{MaxRequests: 2, Stock: stock, Files: files, Memory: memory})
	other := newClient(t, Config{Stock: stock})
	open := func(c *Client) *Response {
		r, err := c.Do(t.Context(), &Request{Method: "GET", Scheme: "http", Authority: strings.TrimPrefix(url, "http://"), Path: "/", Header: nethttp.Header{}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	held := []*Response{open(c), open(c), open(other), open(other)}
	for _, c := range []*Client{c, other} { // the bound of its own, and the half that it has of what is left
		_, _, err := c.get(t, url+"/", Timeouts{})
		wantCode(t, err, ConnectionLimitReached)
	}
	if files.Free() != 98 || memory.left != 1<<20-2*(RequestMemory+ConnectionMemory) {
		t.Errorf("%d files and %d bytes are left", files.Free(), memory.left)
	}
	close(release)
	for _, r := range held {
		_ = r.Body.Close()
	}
	c.Close()
	if stock.Free() != 6 || files.Free() != 100 || memory.left != 1<<20 {
		t.Errorf("%d requests, %d files and %d bytes are left at the end", stock.Free(), files.Free(), memory.left)
	}
	poor := newClient(t, Config{Memory: &room{left: RequestMemory}})
	_, _, err := poor.get(t, url+"/", Timeouts{})
	wantCode(t, err, ConnectionLimitReached)
}

type room struct{ left int }

func (r *room) Take(n int) bool {
	if n > r.left {
		return false
	}
	r.left -= n
	return true
}
func (r *room) Give(n int) { r.left += n }

// TestCloseEndsAll: a request that waits for a lookup, a connection, a head or a body ends at once.
func TestCloseEndsAll(t *testing.T) {
	began := make(chan struct{}, 2)
	url := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "some")
			_ = nethttp.NewResponseController(w).Flush()
		}
		began <- struct{}{}
		<-r.Context().Done()
	})
	network := &fakenetwork.Network{Hang: map[string]bool{"hang.example": true}}
	full := fullListener(t)
	for _, at := range []string{"http://hang.example/", "http://" + full.String() + "/", url + "/head", url + "/body"} {
		c := newClient(t, Config{Network: network})
		ended := make(chan error)
		go func() {
			_, _, err := c.get(t, at, Timeouts{})
			ended <- err
		}()
		switch {
		case strings.HasPrefix(at, url):
			<-began
		default:
			eventually.True(t, "the request begins", func() bool { return len(network.Asked()) > 0 })
		}
		closing := time.Now()
		c.Close()
		wantCode(t, <-ended, ConnectionTerminated)
		if took := time.Since(closing); took > time.Second {
			t.Errorf("%s: closing took %v", at, took)
		}
		_, _, err := c.get(t, at, Timeouts{})
		wantCode(t, err, ConnectionTerminated)
	}
}

// TestTrailersOfBoth: HTTP/1.1 and HTTP/2 carry trailers both ways, also those that were not
// announced.
func TestTrailersOfBoth(t *testing.T) {
	h := nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "Announced")
		_, _ = w.Write(append(b, r.Proto...))
		w.Header().Set("Announced", "1")
		w.Header().Set(nethttp.TrailerPrefix+"Echo", r.Trailer.Get("Sum")+r.Trailer.Get("Late"))
	})
	ca := authority.New(t, "test")
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, Config{Roots: []string{file}})
	plain, secret := httptest.NewServer(h), httptest.NewUnstartedServer(h)
	secret.TLS, secret.EnableHTTP2 = serverTLS(t, ca), true
	secret.StartTLS()
	defer plain.Close()
	defer secret.Close()
	for url, proto := range map[string]string{plain.URL: "HTTP/1.1", secret.URL: "HTTP/2.0"} {
		scheme, authority, _ := strings.Cut(url, "://")
		trailer := nethttp.Header{"Sum": nil}
		r, body, err := c.send(t, &Request{
			Method: "POST", Scheme: scheme, Authority: authority, Path: "/", Length: -1, Trailer: trailer,
			Body: &trailing{Reader: strings.NewReader("text"), trailer: trailer},
		})
		if err != nil || body != "text"+proto {
			t.Fatalf("%s: %q, %v", proto, body, err)
		}
		want := "12"
		if proto == "HTTP/2.0" {
			want = "1" // net/http's server keeps only those that were announced
		}
		if got := (*r.Trailer).Get("Echo"); got != want || (*r.Trailer).Get("Announced") != "1" {
			t.Errorf("%s: the trailers are %v, want %s", proto, *r.Trailer, want)
		}
	}
}

// trailing is a body with trailers.
type trailing struct {
	io.Reader
	trailer nethttp.Header
}

func (r *trailing) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		r.trailer.Set("Sum", "1")
		r.trailer.Set("Late", "2")
	}
	return n, err
}
func (r *trailing) Close() error { return nil }

// TestContextEndsARequest.
func TestContextEndsARequest(t *testing.T) {
	url := serve(t, func(_ nethttp.ResponseWriter, r *nethttp.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newClient(t, Config{}).Do(ctx, &Request{Method: "GET", Scheme: "http", Authority: strings.TrimPrefix(url, "http://"), Path: "/", Header: nethttp.Header{}})
	wantCode(t, err, ConnectionTerminated)
}
