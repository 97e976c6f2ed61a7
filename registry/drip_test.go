package registry

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
)

// dripping writes one byte at a time, and its answer never ends.
func dripping(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		_, _ = w.Write([]byte{' '})
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(2 * time.Millisecond): // the speed of the simulated server
		}
	}
}

// TestDrippingRegistry: a registry cannot hold a pull open for ever by sending slowly, whichever
// request it answers slowly.
func TestDrippingRegistry(t *testing.T) {
	module := wasm("slow", 1_000_000)
	for name, tt := range map[string]struct {
		part string
		with http.HandlerFunc
		says string
	}{
		"the ping":           {"", func(w http.ResponseWriter, r *http.Request) { dripping(w, r) }, ""},
		"an error":           {"/manifests/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot); dripping(w, r) }, "took too long"},
		"the manifest":       {"/manifests/", dripping, "took too long"},
		"the blob":           {"/blobs/", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(module[:8]); dripping(w, r) }, "bytes a second"},
		"the blob's error":   {"/blobs/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot); dripping(w, r) }, "took too long"},
		"nothing of a blob":  {"/blobs/", func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); <-r.Context().Done() }, "nothing came"},
		"nothing at all":     {"/blobs/", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "took too long"},
		"the server of keys": {"/", drippingTokens, ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			srv.push(t, "app:v1", module)
			srv.answer(tt.part, tt.with)
			s := newStore(t, Config{})
			s.stall = 100 * time.Millisecond
			began := time.Now()
			_, err := s.pulled(t.Context(), srv.host()+"/app:v1")
			errorcheck.Is(t, err, nil, tt.says, srv.host())
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func drippingTokens(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/token") {
		dripping(w, r)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="x"`)
	w.WriteHeader(http.StatusUnauthorized)
}

// TestDrippingHeader: the header of an answer must come in time, too, and is bounded.
func TestDrippingHeader(t *testing.T) {
	for name, line := range map[string]string{"slowly": "", "endlessly": "X-Filler: " + strings.Repeat("x", 8<<10) + "\r\n"} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer func() { _ = conn.Close() }()
						if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
							return
						}
						_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Slow: ")
						for err == nil {
							if line != "" {
								_, err = io.WriteString(conn, "\r\n"+line)
								continue
							}
							time.Sleep(2 * time.Millisecond) // the speed of the simulated server
							_, err = io.WriteString(conn, "x")
						}
					}()
				}
			}()
			s := newStore(t, Config{})
			s.stall = 100 * time.Millisecond
			_, err = s.pulled(t.Context(), l.Addr().String()+"/app:v1")
			errorcheck.Is(t, err, nil, l.Addr().String())
		})
	}
}
