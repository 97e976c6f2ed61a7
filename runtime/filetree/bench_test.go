package filetree

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkCount counts 100,000 files in 1,000 directories. The other benchmark does so with
// filepath.WalkDir, for comparison.
func BenchmarkCount(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		sub := filepath.Join(dir, fmt.Sprint(i%10), fmt.Sprint(i))
		if err := os.MkdirAll(sub, 0o700); err != nil {
			b.Fatal(err)
		}
		for k := range 100 {
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprint(k)), nil, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("descriptors", func(b *testing.B) {
		for b.Loop() {
			if u, err := Count(b.Context(), dir, 0); err != nil || u.Inodes < 100_000 {
				b.Fatal(u, err)
			}
		}
	})
	b.Run("paths", func(b *testing.B) {
		for b.Loop() {
			n := 0
			_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, _ error) error {
				_, err := e.Info()
				n++
				return err
			})
		}
	})
}
