package codecache

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func newCache(t *testing.T) *Cache {
	return New(Config{Dir: t.TempDir(), Key: "v1", Size: 1000})
}

// save keeps code as a compiler does.
func save(c *Cache, digest string, code []byte) error {
	f, err := c.Create()
	if err != nil {
		return err
	}
	if err := Write(f, c.key, digest, code, nil); err != nil {
		return err
	}
	return c.Keep(f, digest)
}

// complete returns why the code of a module cannot be had.
func complete(c *Cache, digest string) error {
	f, err := c.Open(digest)
	if err == nil {
		err = f.Close()
	}
	return err
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(t)
	digest := func(i int) string { return digestPrefix + strings.Repeat(strconv.Itoa(i), 64) }
	base := time.Now().Add(-time.Hour)
	for i := range 6 {
		if err := save(c, digest(i), make([]byte, 300)); err != nil {
			t.Fatal(err)
		}
		at := base.Add(time.Duration(i) * time.Minute)
		if err := os.Chtimes(c.Path(digest(i)), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := complete(c, digest(1)); err != nil { // which makes it the one that was used last
		t.Fatal(err)
	}
	if err := c.Collect(func(d string) bool { return d == digest(0) }); err != nil {
		t.Fatal(err)
	}
	var left []int
	for i := range 6 {
		if complete(c, digest(i)) == nil {
			left = append(left, i)
		}
	}
	// Each takes 364 bytes: the one in use and the two used last would be 1,092.
	if len(left) != 2 || left[0] != 0 || left[1] != 1 {
		t.Errorf("left are %v", left)
	}
}

func TestStaleCodeIsRemoved(t *testing.T) {
	dir := t.TempDir()
	old, young := filepath.Join(dir, folderPrefix+"v1"), filepath.Join(dir, folderPrefix+"v2")
	write(t, filepath.Join(old, "code.cwasm"), "old")
	write(t, filepath.Join(young, "code.cwasm"), "young")
	write(t, filepath.Join(dir, "other", "file"), "not ours")
	long := time.Now().Add(-2 * abandonedAfter)
	if err := os.Chtimes(filepath.Join(old, "code.cwasm"), long, long); err != nil {
		t.Fatal(err)
	}
	if err := New(Config{Dir: dir, Key: "v3"}).RemoveStale(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("code of another version is still there: %v", err)
	}
	for _, path := range []string{young, filepath.Join(dir, "other", "file")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// docs/security.md: "only what this agent's compilers wrote is mapped"
func TestFilesOfOthersAreRefused(t *testing.T) {
	c := newCache(t)
	digest := digestPrefix + strings.Repeat("a", 64)
	if err := save(c, digest, []byte("code")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(c.Path(digest), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := complete(c, digest); !errors.Is(err, ErrForeign) {
		t.Errorf("a file for all: %v", err)
	}
	if err := os.Chmod(c.Path(digest), 0o600); err != nil {
		t.Fatal(err)
	}
	other := digestPrefix + strings.Repeat("b", 64)
	if err := os.Rename(c.Path(digest), c.Path(other)); err != nil {
		t.Fatal(err)
	}
	if err := complete(c, other); !errors.Is(err, ErrCorrupt) {
		t.Errorf("code of another module: %v", err)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
