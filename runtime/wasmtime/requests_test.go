package wasmtime

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// upstream is a server that guests send requests to, and the egress that allows it.
func upstream(t *testing.T) (*httptest.Server, runtime.Network) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/upstream")
		switch r.URL.Path {
		case "/echo":
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.Copy(w, r.Body)
			w.Header().Set(http.TrailerPrefix+"End", r.URL.RawQuery+r.Header.Get("X-Guest"))
		case "/hang":
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	return s, runtime.Network{Egress: runtime.Egress{Allow: strings.TrimPrefix(s.URL, "http://")}}
}

// TestProxy: a handler sends requests on, streams both bodies at the same time, and what it may not
// connect to it does not reach.
func TestProxy(t *testing.T) {
	up, network := upstream(t)
	e := newEngine(t)
	s := newSiteOf(t, e, "http-proxy-0.3", runtime.Spec{Network: network})
	at := "/" + strings.TrimPrefix(up.URL, "http://")
	const size = 20 << 20 // more than all buffers on the way hold
	a := s.ask("POST", at+"/echo?q", io.LimitReader(zeros{}, size))
	if a.status != 200 || len(a.body) != size || a.err != nil || a.header.Get("Content-Type") != "text/upstream" || a.trailers.Get("End") != "q" {
		t.Fatalf("%v, trailers %v", a, a.trailers)
	}
	if n := s.stats().Received; n < size {
		t.Errorf("%d bytes were received", n)
	}
	if stats := s.process.Stats(); stats.Traffic.Received < 2*size || stats.Traffic.Sent < 2*size {
		t.Errorf("the traffic is %+v", stats.Traffic)
	}
	for _, denied := range []string{"/127.0.0.1:1/", "/nowhere.example/", "/169.254.169.254/"} {
		if a := s.ask("GET", denied, nil); a.status != 500 {
			t.Errorf("%s: %v", denied, a)
		}
	}
	s.logs("destination-IP-prohibited")
	s.logs("HTTP-request-denied")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestProxyEnds: requests end with their clients, and with the guest.
func TestProxyEnds(t *testing.T) {
	up, network := upstream(t)
	e := newEngine(t)
	free := e.requests.Free()
	s := newSiteOf(t, e, "http-proxy-0.3", runtime.Spec{Network: network})
	at := s.url + "/" + strings.TrimPrefix(up.URL, "http://") + "/hang"
	open := func() *http.Response {
		r, err := s.client.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first, second := open(), open()
	if n := e.requests.Free(); n != free-2 {
		t.Errorf("%d requests are under way", free-n)
	}
	_ = first.Body.Close()
	soon(t, func() error {
		if n := e.requests.Free(); n != free-1 {
			return fmt.Errorf("%d requests are under way", free-n)
		}
		return nil
	})
	began := time.Now()
	s.process.Stop(0)
	s.wait()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the kill took %v", took)
	}
	_ = second.Body.Close()
	if n := e.requests.Free(); n != free {
		t.Errorf("%d requests are under way after the end", free-n)
	}
}

// TestExperimentalHTTP: a module sends requests as modules on Krustlet did.
func TestExperimentalHTTP(t *testing.T) {
	up, network := upstream(t)
	e := newEngine(t)
	module := guests.Build(t, "experimental")
	run := func(network runtime.Network, args ...string) (string, runtime.Exit) {
		r := start(t, e, module, runtime.Spec{Command: runtime.Command{Args: append([]string{"experimental"}, args...)}, Network: network})
		exit := r.wait()
		out, _ := r.screen.text()
		return out, exit
	}
	if out, exit := run(network, "POST", up.URL+"/echo", "some text"); out != "200\ntext/upstream\nsome text" || exit.Code != 0 {
		t.Errorf("%q, %+v", out, exit)
	}
	if out, exit := run(runtime.Network{}, "GET", up.URL+"/echo"); out != "req 7\n" || exit.Code != 1 {
		t.Errorf("without egress: %q, %+v", out, exit)
	}
	r := start(t, e, module, runtime.Spec{Command: runtime.Command{Args: []string{"experimental", "GET", up.URL + "/hang"}}, Network: network})
	r.says("text/upstream")
	r.process.Stop(0)
	if exit := r.wait(); exit.Message != messageKilled {
		t.Errorf("a guest that waits for a body: %+v", exit)
	}
}
