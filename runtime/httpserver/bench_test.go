package httpserver

import (
	"bufio"
	"io"
	"net"
	"net/http"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
)

// BenchmarkAgainstNetHTTP prints the time of a request as a ratio to that of net/http alone. Both
// take turns in short rounds, so that what else the machine does meets both.
func BenchmarkAgainstNetHTTP(b *testing.B) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "hello")
	})
	own, err := New(Config{Handler: handler, Record: func(Record) {}})
	if err != nil {
		b.Fatal(err)
	}
	defer own.Close()
	l := listenLoopback(b)
	own.Serve(l)
	plain := &http.Server{Handler: handler}
	other := listenLoopback(b)
	go func() { _ = plain.Serve(other) }()
	defer plain.Close()

	ask := func(l net.Listener) func(n int) time.Duration {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		r := bufio.NewReader(c)
		return func(n int) time.Duration {
			begin := time.Now()
			for range n {
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\nAccept: */*\r\n\r\n")
				if _, _, err := readAnswer(r); err != nil {
					b.Fatal(err)
				}
			}
			return time.Since(begin)
		}
	}
	first, second := ask(l), ask(other)
	const round = 100
	var took, tookPlain time.Duration
	for b.Loop() {
		took += first(round)
		tookPlain += second(round)
	}
	b.ReportMetric(float64(took)/float64(tookPlain), "ratio")
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N*round), "ns/request")
}

// BenchmarkIdle prints what a server costs that has a listener and no connection.
func BenchmarkIdle(b *testing.B) {
	const n = 500
	for b.Loop() {
		var before, after goruntime.MemStats
		goruntime.GC()
		goruntime.ReadMemStats(&before)
		routines := goruntime.NumGoroutine()
		var all []*Server
		for range n {
			s, err := New(Config{Handler: http.NotFoundHandler()})
			if err != nil {
				b.Fatal(err)
			}
			s.Serve(listenLoopback(b))
			all = append(all, s)
		}
		eventually.True(b, "the accept loops begin", func() bool { return goruntime.NumGoroutine() >= routines+n })
		goruntime.GC()
		goruntime.ReadMemStats(&after)
		used := after.HeapAlloc + after.StackInuse - before.HeapAlloc - before.StackInuse
		b.ReportMetric(float64(used)/n, "bytes/server")
		b.ReportMetric(float64(goruntime.NumGoroutine()-routines)/n, "goroutines/server")
		for _, s := range all {
			s.Close()
		}
	}
}
