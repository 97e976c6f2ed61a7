package logfile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
)

// Example writes the log of a container and reads its last line.
func Example() {
	dir, err := os.MkdirTemp("", "logfile-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "0.log")
	w, err := logfile.Create(path, logfile.Rotation{MaxSize: 10 << 20, MaxFiles: 5})
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(w.Stdout(), "first")
	fmt.Fprintln(w.Stdout(), "last")
	if err := w.Close(); err != nil {
		panic(err)
	}
	lines := int64(1)
	if err := logfile.Read(context.Background(), os.Stdout, path, logfile.Options{TailLines: &lines}); err != nil {
		panic(err)
	}
	// Output: last
}
