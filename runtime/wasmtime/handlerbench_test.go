package wasmtime

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// BenchmarkHandler has clients ask a handler over loopback, eight at a time, beside net/http with
// the same answer. With HTTP_GUEST it asks another component than ours.
func BenchmarkHandler(b *testing.B) {
	b.Run("net/http", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello\n")
		})}
		go func() { _ = s.Serve(l) }()
		defer func() { _ = s.Close() }()
		askAll(b, l.Addr().String())
	})
	files := map[string]string{"0.2": guests.Component(b, "http-hello-0.2"), "0.3": guests.Component(b, "http-hello-0.3")}
	if f := os.Getenv("HTTP_GUEST"); f != "" {
		files = map[string]string{filepath.Base(f): f}
	}
	for name, file := range files {
		for _, reuse := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%s/reuse=%d", name, reuse), func(b *testing.B) {
				e := newEngine(b)
				r := start(b, e, file, runtime.Spec{HTTP: runtime.HTTP{Listen: []string{"127.0.0.1:0"}, Reuse: reuse}})
				defer func() {
					r.process.Stop(0)
					r.wait()
				}()
				askAll(b, r.process.(*guest).Addresses()[0].String())
			})
		}
	}
}

// askAll sends b.N requests.
func askAll(b *testing.B, address string) {
	const clients = 8
	var wg sync.WaitGroup
	ask := func(n int) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		r := bufio.NewReader(c)
		for range n {
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				b.Error(err)
				return
			}
			response, err := http.ReadResponse(r, nil)
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
				b.Error(response.Status, err)
				return
			}
		}
	}
	ask(1)
	b.ResetTimer()
	for i := range clients {
		wg.Go(func() { ask(b.N/clients + min(1, max(0, b.N%clients-i))) })
	}
	wg.Wait()
}
