package preview1

import (
	"encoding/binary"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/fakenetwork"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
)

// requester calls the functions of ExperimentalHTTP.
type requester struct{ *caller }

func newRequester(t *testing.T, cfg client.Config) *requester {
	t.Helper()
	c := newCaller(t, wasi.Config{})
	sends, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sends.Close)
	c.g.SendBy(sends)
	return &requester{c}
}

// req sends a request, and returns the status and the handle.
func (r *requester) req(url, method, headers, body string) (status uint16, handle uint64, err error) {
	args, at := []uint64{}, addrPath
	for _, text := range []string{url, method, headers, body} {
		copy(r.mem[at:], text)
		args = append(args, uint64(at), uint64(len(text)))
		at += len(text)
	}
	err = r.call("req", append(args, addrResult, addrResult+4)...)
	return binary.LittleEndian.Uint16(r.mem[addrResult:]), uint64(binary.LittleEndian.Uint32(r.mem[addrResult+4:])), err
}

// read reads a body to its end, in small pieces.
func (r *requester) read(handle uint64) (string, error) {
	var all strings.Builder
	for {
		if err := r.call("body_read", handle, addrData, 5, addrResult); err != nil {
			return "", err
		}
		n := binary.LittleEndian.Uint32(r.mem[addrResult:])
		if n == 0 {
			return all.String(), nil
		}
		all.Write(r.mem[addrData : addrData+n])
	}
}

func (r *requester) written() string {
	return string(r.mem[addrData : addrData+binary.LittleEndian.Uint32(r.mem[addrResult:])])
}

// TestExperimentalHTTP does what guests of Krustlet did.
func TestExperimentalHTTP(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header()["Two"] = []string{"1", "2"}
		w.WriteHeader(nethttp.StatusCreated)
		_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+" "+r.Header.Get("A")+" "+string(b))
	}))
	defer s.Close()
	r := newRequester(t, client.Config{Network: &fakenetwork.Network{Denied: map[string]bool{"denied.example": true}}, MaxRequests: 2})
	status, handle, err := r.req(s.URL+"/path?query", "POST", "a:b:c\nhost:evil\n", "text")
	if status != 201 || err != nil {
		t.Fatal(status, err)
	}
	copy(r.mem[addrPath:], "TWO")
	r.want(httpBufferTooSmall, "header_get", handle, addrPath, 3, addrData, 0, addrResult)
	r.want(nil, "header_get", handle, addrPath, 3, addrData, 1, addrResult)
	if got := r.written(); got != "1" {
		t.Errorf("the header is %q", got)
	}
	copy(r.mem[addrPath:], "none")
	r.want(httpHeaderNotFound, "header_get", handle, addrPath, 4, addrData, 1, addrResult)
	r.want(httpBufferTooSmall, "headers_get_all", handle, addrData, 10, addrResult)
	r.want(nil, "headers_get_all", handle, addrData, 1000, addrResult)
	if got := r.written(); !strings.Contains(got, "two:1\ntwo:2\n") || !strings.HasSuffix(got, "\n") {
		t.Errorf("the headers are %q", got)
	}
	if body, err := r.read(handle); body != "POST /path?query b:c text" || err != nil {
		t.Errorf("the body is %q, %v", body, err)
	}
	if _, _, err := r.req(s.URL+"/", "GET", "", ""); err != nil {
		t.Error(err)
	}
	_, _, err = r.req(s.URL+"/", "GET", "", "") // a response counts until it is closed
	r.is(err, httpTooManySessions)
	r.want(nil, "close", handle)
	r.want(nil, "close", handle)
	r.want(httpInvalidHandle, "body_read", handle, addrData, 5, addrResult)
	r.want(httpInvalidHandle, "headers_get_all", handle, addrData, 5, addrResult)
	for _, test := range []struct {
		url, method, headers string
		want                 Errno
	}{
		{"http://denied.example/", "GET", "", httpNotAllowed},
		{"http://10.0.0.1/", "GET", "", httpNotAllowed},
		{"http://unknown.example/", "GET", "", httpRequest},
		{"no url", "GET", "", httpInvalidURL},
		{"ftp://a/", "GET", "", httpInvalidURL},
		{"http://\xff/", "GET", "", httpUTF8},
		{s.URL, "G T", "", httpInvalidMethod},
		{s.URL, "CONNECT", "", httpInvalidMethod},
		{s.URL, "GET", "no colon", httpInvalidEncoding},
		{s.URL, "GET", "a:\x01", httpInvalidEncoding},
	} {
		_, _, err := r.req(test.url, test.method, test.headers, "")
		r.is(err, test.want)
	}
	all := uint64(len(r.mem))
	r.want(httpBufferTooSmall, "req", all, 1, 0, 0, 0, 0, 0, 0, 0, 8)
	r.want(httpBufferTooSmall, "req", addrPath, 1<<31, 0, 0, 0, 0, 0, 0, 0, 8)
	r.want(httpMemoryAccess, "req", 0, 0, 0, 0, 0, 0, 0, 0, all-1, 8)
	r.want(httpMemoryAccess, "req", 0, 0, 0, 0, 0, 0, 0, 0, 0, all-3)
}

// TestExperimentalRedirects: redirects are followed, and another host gets no credentials.
func TestExperimentalRedirects(t *testing.T) {
	other := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+" "+r.Header.Get("Authorization")+r.Header.Get("Cookie")+"|"+r.Header.Get("X")+" "+string(b))
	}))
	defer other.Close()
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		to := map[string]string{
			"/see": other.URL, "/keep": other.URL, "/denied": "http://denied.example/", "/loop": "/loop", "/file": "file:///etc/passwd",
		}[r.URL.Path]
		w.Header().Set("Location", to)
		code := nethttp.StatusSeeOther
		if r.URL.Path == "/keep" {
			code = nethttp.StatusPermanentRedirect
		}
		w.WriteHeader(code)
	}))
	defer s.Close()
	r := newRequester(t, client.Config{Network: &fakenetwork.Network{Denied: map[string]bool{"denied.example": true}}})
	for path, want := range map[string]string{"/see": "GET |1 ", "/keep": "POST |1 text"} {
		_, handle, err := r.req(s.URL+path, "POST", "authorization:secret\ncookie:secret\nx:1\n", "text")
		if body, _ := r.read(handle); err != nil || body != want {
			t.Errorf("%s: %q, %v, want %q", path, body, err, want)
		}
	}
	_, _, err := r.req(s.URL+"/denied", "GET", "", "")
	r.is(err, httpNotAllowed)
	_, _, err = r.req(s.URL+"/loop", "GET", "", "")
	r.is(err, httpRequest)
	if status, _, err := r.req(s.URL+"/file", "GET", "", ""); status != nethttp.StatusSeeOther || err != nil {
		t.Errorf("a redirect to a file: %d, %v", status, err)
	}
}

// TestExperimentalWithoutNetwork: no request is allowed.
func TestExperimentalWithoutNetwork(t *testing.T) {
	r := &requester{newCaller(t, wasi.Config{})}
	_, _, err := r.req("http://127.0.0.1/", "GET", "", "")
	r.is(err, httpNotAllowed)
	r.want(nil, "close", 0)
}

// is fails the test unless the error of a request is this one.
func (r *requester) is(err error, want Errno) {
	r.t.Helper()
	if err != want {
		r.t.Errorf("the error is %v, want %v", err, want)
	}
}
