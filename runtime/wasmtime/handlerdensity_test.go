package wasmtime

import (
	"io"
	"net/http"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// BenchmarkIdleHandlers measures what a handler costs that answers nothing: bytes of the process
// for each, and the time to the first byte of one of them. HTTP_IDLE says how many there are.
func BenchmarkIdleHandlers(b *testing.B) {
	n := 500
	if s := os.Getenv("HTTP_IDLE"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	file := guests.Component(b, "http-hello-0.2")
	e := newEngine(b)
	var all []*guestRun
	defer func() {
		for _, r := range all {
			r.process.Stop(0)
		}
		for _, r := range all {
			r.wait()
		}
	}()
	begin := func() {
		r := start(b, e, file, runtime.Spec{HTTP: runtime.HTTP{Listen: []string{"127.0.0.1:0"}}})
		all = append(all, r)
	}
	begin()
	before := memoryNow(b)["Pss"]
	for range n {
		begin()
	}
	debug.FreeOSMemory()
	each := (memoryNow(b)["Pss"] - before) * 1024 / n
	var slowest time.Duration
	for i := 0; b.Loop(); i++ {
		at := all[i%len(all)].process.(*guest).Addresses()[0].String()
		began := time.Now()
		response, err := http.Get("http://" + at)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadAll(response.Body); err != nil {
			b.Fatal(err)
		}
		_ = response.Body.Close()
		slowest = max(slowest, time.Since(began))
	}
	b.ReportMetric(float64(each), "bytes/handler")
	b.ReportMetric(float64(slowest.Microseconds()), "µs-slowest")
	b.Logf("%d handlers, %d goroutines", n, goruntime.NumGoroutine())
}
