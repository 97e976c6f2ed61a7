package wasmtime

import (
	"io"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestHandlerPaysForItsClients has clients that send heads without an end. Their memory is the
// guest's, up to a half of its limit, and the guest goes on.
func TestHandlerPaysForItsClients(t *testing.T) {
	const limit = 32 << 20
	s := newSiteOf(t, newEngine(t), "http-hello-0.2", runtime.Spec{MemoryLimit: limit})
	s.get("/").wants(t, 200, "hello\n")
	before := s.process.Stats().Memory
	for range 100 {
		c := s.dial(t)
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat("a:b\r\n", 5000)) // it may be reset
	}
	eventually.True(t, "the clients' memory is counted", func() bool {
		return s.process.Stats().Memory-before > limit/4
	})
	if used := s.process.Stats().Memory; used-before > limit/2 {
		t.Errorf("clients have taken %d bytes of %d", used-before, limit)
	}
	s.get("/").wants(t, 200, "hello\n")
}
