package wasi

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
)

// TestAppend writes at the end of a file that grows, without a change of its position.
func TestAppend(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "log"), "one ")
	g, err := New(Config{Mounts: []Mount{{Host: dir, Guest: "/"}}, WorkDir: "/work"})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := g.Root().Open(t.Context(), "log", Read|Write)
	if err != nil {
		t.Fatal(err)
	}
	f := opened.(*File)
	for _, text := range []string{"two ", "three"} {
		if n, err := f.Append(t.Context(), [][]byte{[]byte(text)}); n != len(text) || err != nil {
			t.Errorf("appending %q: %d, %v", text, n, err)
		}
	}
	if n, err := f.WriteAt(t.Context(), [][]byte{[]byte("ONE")}, 0); n != 3 || err != nil {
		t.Errorf("writing at the start after appending: %d, %v", n, err)
	}
	if at, err := f.Seek(0, 1); at != 0 || err != nil {
		t.Errorf("the position is %d, %v, want 0", at, err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "log")); string(got) != "ONE two three" || err != nil {
		t.Errorf("the file has %q, %v", got, err)
	}
	if err := f.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if g.WorkDir() != "/work" || g.Root().ReadOnly() {
		t.Errorf("working directory %q, read-only %v", g.WorkDir(), g.Root().ReadOnly())
	}
	if a, b := g.Seed(), g.Seed(); a != b || a == [2]uint64{} {
		t.Errorf("seeds %v and %v, want the same", a, b)
	}
	if err := g.CloseInitial(); err != nil {
		t.Error(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}
