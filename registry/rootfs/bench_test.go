package rootfs

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkUnpack unpacks an image of 10,000 small files in 500 directories, and one large file.
func BenchmarkUnpack(b *testing.B) {
	var entries []tar.Header
	size := 0
	for i := range 10_000 {
		content := string(make([]byte, i%8000))
		size += len(content)
		entries = append(entries, file(fmt.Sprintf("usr/lib/d%d/e/f%d", i/20, i), content))
	}
	entries = append(entries, file("large", string(make([]byte, 64<<20))))
	size += 64 << 20
	at := filepath.Join(b.TempDir(), "layer")
	if err := os.WriteFile(at, archive(b, entries...), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		b.StartTimer()
		if err := Unpack(b.Context(), dir, []Layer{{Path: at}}, Limits{Bytes: 1 << 30, Entries: 20_000}); err != nil {
			b.Fatal(err)
		}
		if _, err := Modules(dir, 1<<30); err != nil {
			b.Fatal(err)
		}
	}
}
