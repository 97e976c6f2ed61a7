package wasmtime

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// site is a handler that is served, with a client.
type site struct {
	*guestRun
	url    string
	client *http.Client
}

// bothWASI are the versions of WASI that have handlers.
var bothWASI = []string{"0.2", "0.3"}

// newSite serves a guest at a free port.
func newSite(t testing.TB, e *Engine, name string, settings runtime.HTTP) *site {
	t.Helper()
	return newSiteOf(t, e, name, runtime.Spec{HTTP: settings})
}

func newSiteOf(t testing.TB, e *Engine, name string, spec runtime.Spec) *site {
	t.Helper()
	spec.HTTP.Listen = []string{"127.0.0.1:0"}
	r := start(t, e, guests.Component(t, name), spec)
	g, ok := r.process.(*guest)
	if !ok {
		t.Fatalf("it is a %T", r.process)
	}
	s := &site{guestRun: r, url: "http://" + g.Addresses()[0].String(), client: newClient(t, false)}
	t.Cleanup(func() {
		r.process.Stop(0)
		r.wait()
	})
	return s
}

// newClient is a client of HTTP/1.1, or of HTTP/2 without TLS.
func newClient(t testing.TB, two bool) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!two)
	protocols.SetUnencryptedHTTP2(two)
	transport := &http.Transport{Protocols: protocols, MaxIdleConnsPerHost: 100, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// reply is an answer as a client gets it.
type reply struct {
	status   int
	header   http.Header
	body     string
	trailers http.Header
	err      error // of the body, or of the request if the status is 0
}

func (a reply) String() string {
	return fmt.Sprintf("status %d, %d bytes %.60q, %v", a.status, len(a.body), a.body, a.err)
}

// ask sends a request. It may be called on any goroutine.
func (s *site) ask(method, path string, body io.Reader) reply {
	return askWith(s.client, method, s.url+path, body)
}

func (s *site) get(path string) reply { return s.ask(http.MethodGet, path, nil) }

func askWith(c *http.Client, method, url string, body io.Reader) reply {
	return askUntil(context.Background(), c, method, url, body)
}

func askUntil(ctx context.Context, c *http.Client, method, url string, body io.Reader) reply {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return reply{err: err}
	}
	got, err := c.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = got.Body.Close() }() // it was read
	text, err := io.ReadAll(got.Body)
	return reply{got.StatusCode, got.Header, string(text), got.Trailer, err}
}

// wants fails the test if an answer is not as it should be.
func (a reply) wants(t testing.TB, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body || a.err != nil {
		t.Errorf("got %v, want status %d and %q", a, status, body)
	}
}

// stats are the figures of the handler.
func (s *site) stats() runtime.HTTPStats {
	if h := s.process.Stats().HTTP; h != nil {
		return *h
	}
	return runtime.HTTPStats{}
}

// soon is eventually.Succeeds with less patience: what a test waits for here takes a second at
// most.
func soon(t testing.TB, check func() error) {
	t.Helper()
	var err error
	eventually.Within(reporter{t, &err}, 30*time.Second, "as it should be", func() bool {
		err = check()
		return err == nil
	})
}

// reporter adds an error to the message with which a test fails.
type reporter struct {
	testing.TB
	err *error
}

func (r reporter) Fatalf(format string, args ...any) {
	r.TB.Helper()
	r.TB.Fatalf(format+": %v", append(args, *r.err)...)
}

// logs waits until the log has the text in it.
func (s *site) logs(text string) {
	s.t.Helper()
	soon(s.t, func() error {
		if out, errs := s.screen.text(); !strings.Contains(out+errs, text) {
			return fmt.Errorf("the log has no %q, but %q and %q", text, out, errs)
		}
		return nil
	})
}

// TestHandlerAnswers: both versions of WASI answer by HTTP/1.1 and HTTP/2.
func TestHandlerAnswers(t *testing.T) {
	e := newEngine(t)
	for _, version := range bothWASI {
		for _, two := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", version, two), func(t *testing.T) {
				s := newSite(t, e, "http-hello-"+version, runtime.HTTP{})
				s.client = newClient(t, two)
				for range 3 {
					a := s.get("/")
					a.wants(t, 200, "hello\n")
				}
				s = newSite(t, e, "http-kitchen-"+version, runtime.HTTP{})
				s.client = newClient(t, two)
				s.kitchen(t)
			})
		}
	}
}

// kitchen asks for what the guest of all versions can.
func (s *site) kitchen(t *testing.T) {
	a := s.get("/hello")
	a.wants(t, 200, "hello\n")
	if a.header.Get("Content-Type") != "text/plain" || a.header.Get("Content-Length") != "6" {
		t.Errorf("a small answer has the headers %v", a.header)
	}
	s.get("/status418").wants(t, 418, "hello\n")
	a = s.get("/status204")
	a.wants(t, 204, "")
	if _, has := a.header["Content-Length"]; has {
		t.Errorf("204 has the headers %v", a.header)
	}
	a = s.get("/trailers")
	a.wants(t, 200, "hello\n")
	if a.trailers.Get("X-Trailer") != "end" {
		t.Errorf("trailers %v", a.trailers)
	}
	a = s.get("/fields30")
	a.wants(t, 200, "hello\n")
	if n := len(a.header["X-Field"]); n != 30 {
		t.Errorf("%d fields of 30", n)
	}
	a = s.ask(http.MethodHead, "/hello", nil)
	a.wants(t, 200, "")
	if a.header.Get("Content-Type") != "text/plain" {
		t.Errorf("HEAD has the headers %v", a.header)
	}
	s.ask(http.MethodPost, "/echo", strings.NewReader("a body")).wants(t, 200, "a body")
	s.ask(http.MethodPost, "/echo", nil).wants(t, 200, "")
	s.ask(http.MethodPost, "/size", bytes.NewReader(make([]byte, 300_000))).wants(t, 200, "300000\n")
	a = s.get("/zero3")
	if a.status != 200 || len(a.body) != 3<<20 || a.err != nil {
		t.Errorf("zeros: %v", a)
	}
	s.get("/late20").wants(t, 200, "hello\n")
	s.get("/sleep20").wants(t, 200, "hello\n")
	soon(t, func() error {
		h := s.stats()
		if h.Answers[418] != 1 || h.Answers[204] != 1 || h.Answers[200] < 10 || h.Aborted != 0 || h.Active != 0 {
			return fmt.Errorf("stats %+v", h)
		}
		if h.Received < 300_006 || h.Sent < 3<<20 || h.Traps+h.Memory+h.Timeouts != 0 {
			return fmt.Errorf("stats %+v", h)
		}
		return nil
	})
}

// TestHandlerRequest: the guest gets method, authority, path and headers as the client sent them.
func TestHandlerRequest(t *testing.T) {
	e := newEngine(t)
	s := newSite(t, e, "http-kitchen-0.2", runtime.HTTP{})
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, two := range []bool{false, true} {
		c := newClient(t, two)
		a := askWith(c, http.MethodPost, s.url+"/request?a=b%20c&d", nil)
		if want := "\n" + u.Host + "\n/request?a=b%20c&d"; !strings.Contains(a.body, want) {
			t.Errorf("the guest got %q, want %q in it", a.body, want)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/headers", nil)
		if err != nil {
			t.Fatal(err)
		}
		count := func() int {
			got, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = got.Body.Close() }()
			text, err := io.ReadAll(got.Body)
			if err != nil {
				t.Fatal(err)
			}
			n, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := count()
		r.Header["X-Mine"] = []string{"1", "2", "3"}
		r.Header.Set("Proxy-Connection", "keep-alive")
		if n := count(); n != before+3 {
			t.Errorf("the guest has %d fields, and had %d before 3 more", n, before)
		}
	}
}

// TestHandlerStreams: bodies of 8 MiB go through each way while the guest has the memory of a few.
func TestHandlerStreams(t *testing.T) {
	e := newEngine(t)
	const size = 8 << 20
	for _, version := range bothWASI {
		for _, two := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", version, two), func(t *testing.T) {
				s := newSiteOf(t, e, "http-kitchen-"+version, runtime.Spec{MemoryLimit: 4 << 20})
				s.client = newClient(t, two)
				s.get("/hello").wants(t, 200, "hello\n")
				in, out := io.Pipe()
				done := make(chan int64, 1)
				most := int64(0)
				go func() {
					defer close(done)
					piece := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
					for n := 0; n < size; n += len(piece) {
						if _, err := out.Write(piece); err != nil {
							return
						}
						most = max(most, s.process.Stats().Memory)
					}
					_ = out.Close() // never fails
				}()
				a := s.ask(http.MethodPost, "/echo", in)
				if a.status != 200 || len(a.body) != size || a.err != nil || a.body[size-16:] != "0123456789abcdef" {
					t.Errorf("got %v", a)
				}
				_ = in.Close() // never fails
				<-done
				if most > 3<<20 {
					t.Errorf("the guest had %d bytes", most)
				}
			})
		}
	}
}

// TestHandlerMemoryIsGivenBack: thousands of requests of each kind take no memory that stays.
func TestHandlerMemoryIsGivenBack(t *testing.T) {
	e := newEngine(t)
	n := 2000
	if raceDetector || testing.Short() {
		n = 300
	}
	for _, version := range bothWASI {
		for _, reuse := range []int{1, 1 << 30} {
			t.Run(fmt.Sprintf("%s, reuse %d", version, reuse), func(t *testing.T) {
				s := newSite(t, e, "http-kitchen-"+version, runtime.HTTP{Reuse: reuse, Instances: 2})
				cycle := func(n int) {
					for i := range n {
						path := []string{"/hello", "/echo", "/size", "/trailers", "/fields5", "/output", "/late1", "/status404"}[i%8]
						if a := s.ask(http.MethodPost, path, strings.NewReader("body")); a.err != nil || a.status == 500 {
							t.Fatalf("%s: %v", path, a)
						}
					}
					eventually.True(t, "no request is under way", func() bool { return s.stats().Active == 0 })
				}
				cycle(100)
				memory, before := s.process.Stats().Memory, takeFootprint(t)
				cycle(n)
				soon(t, func() error {
					if now := s.process.Stats().Memory; now > memory+64<<10 {
						return fmt.Errorf("the guest has %d bytes, and had %d", now, memory)
					}
					if after := takeFootprint(t); after.goroutines > before.goroutines+4 || after.descriptors > before.descriptors+2 || after.maps > before.maps+100 {
						return fmt.Errorf("the process grew: before %+v, after %+v", before, after)
					}
					return nil
				})
			})
		}
	}
}

// dial connects to the site.
func (s *site) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test may have done so
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}
