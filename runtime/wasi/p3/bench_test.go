package p3_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// BenchmarkStreams moves the bytes of a file: to the guest, in reads of 32 KiB, and to the log by
// the host alone. What the engine of the tests takes for a call, Call has.
func BenchmarkStreams(b *testing.B) {
	dir := b.TempDir()
	testfiles.Write(b, filepath.Join(dir, "file"), "")
	if err := os.Truncate(filepath.Join(dir, "file"), 16<<20); err != nil {
		b.Fatal(err)
	}
	g := newGuest(b, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}, MaxDescriptors: 1 << 20})
	h := g.mustOpen(g.root(), "file", 0, read)
	b.Run("ToGuest", func(b *testing.B) {
		b.SetBytes(dataSize)
		stream, future := -1, 0
		for b.Loop() {
			if stream < 0 {
				g.call("read-file", h, 0, addrResult)
				stream, future = g.ends()
			}
			if g.call("bytes.read", stream, addrData, dataSize)&15 == dropped {
				g.call("bytes.drop-readable", stream)
				g.outcome("file-future", future)
				stream = -1
			}
		}
	})
	b.Run("ByHost", func(b *testing.B) {
		b.SetBytes(16 << 20)
		for b.Loop() {
			g.call("read-file", h, 0, addrResult)
			stream, in := g.ends()
			future := g.call("stdout", stream)
			if a, c := g.outcome("cli-future", future), g.outcome("file-future", in); a != fine || c != fine {
				b.Fatalf("errors %d and %d", a, c)
			}
		}
	})
	b.Run("Call", func(b *testing.B) {
		for b.Loop() {
			g.call("now")
		}
	})
	b.Run("Timer", func(b *testing.B) {
		for b.Loop() {
			g.call("wait-for", 1)
		}
	})
}
