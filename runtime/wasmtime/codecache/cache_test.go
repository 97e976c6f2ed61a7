package codecache

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
)

func newCache(t *testing.T) *Cache {
	return New(Config{Dir: t.TempDir(), Key: "v1", Size: 1000})
}

// save stores code as a compiler does.
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

// complete returns why a module's code is not available, or nil.
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
	if err := complete(c, digest(1)); err != nil { // so this is now the most recently used file
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
	// Each file takes 364 bytes. The file in use and the two used last would take 1,092.
	if len(left) != 2 || left[0] != 0 || left[1] != 1 {
		t.Errorf("left are %v", left)
	}
}

func TestStaleCodeIsRemoved(t *testing.T) {
	dir := t.TempDir()
	old, young := filepath.Join(dir, folderPrefix+"v1"), filepath.Join(dir, folderPrefix+"v2")
	testfiles.Write(t, filepath.Join(old, "code.cwasm"), "old")
	testfiles.Write(t, filepath.Join(young, "code.cwasm"), "young")
	testfiles.Write(t, filepath.Join(dir, "other", "file"), "not ours")
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

// TestDamagedFilesAreRefused: Open accepts only a file that is exactly what was written for its
// module and key.
func TestDamagedFilesAreRefused(t *testing.T) {
	c := newCache(t)
	digest := DigestOf([]byte("module"))
	if err := complete(c, digest); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := save(c, digest, []byte("some code")); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(c.Path(digest))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[0] ^= 1
	var other bytes.Buffer
	if err := Write(&other, "v2", digest, []byte("some code"), nil); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty":         {},
		"cut":           good[:len(good)-1],
		"longer":        append([]byte("x"), good...),
		"flipped":       flipped,
		"of other keys": other.Bytes(),
		"mark only":     []byte(mark),
	} {
		testfiles.Write(t, c.Path(digest), string(content))
		if err := complete(c, digest); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	testfiles.Write(t, c.Path(digest), string(good))
	if err := complete(c, digest); err != nil {
		t.Errorf("the good file: %v", err)
	}
}

// TestReadOnlyChangesNothing: even the time of the last use does not change.
func TestReadOnlyChangesNothing(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Key: "v1", ReadOnly: true}
	c, digest := New(cfg), DigestOf([]byte("module"))
	if err := save(c, digest, []byte("code")); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(c.Path(digest), old, old); err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{true, false} {
		cfg.ReadOnly = readOnly
		if err := complete(New(cfg), digest); err != nil {
			t.Fatal(err)
		}
		info, err := c.Stat(digest)
		if err != nil {
			t.Fatal(err)
		}
		if stays := time.Since(info.ModTime()) > time.Minute; stays != readOnly {
			t.Errorf("read-only %t: used at %v", readOnly, info.ModTime())
		}
	}
}

func TestRemoveModule(t *testing.T) {
	dir, digest, other := t.TempDir(), DigestOf([]byte("module")), DigestOf([]byte("other"))
	var size int64
	for _, key := range []string{"v1", "v2"} {
		c := New(Config{Dir: dir, Key: key})
		for _, d := range []string{digest, other} {
			if err := save(c, d, []byte("code")); err != nil {
				t.Fatal(err)
			}
		}
		size += FileSize([]byte("code"), nil)
	}
	if freed, err := RemoveModule(dir, digest); freed != size || err != nil {
		t.Errorf("freed %d bytes, want %d: %v", freed, size, err)
	}
	c := New(Config{Dir: dir, Key: "v1"})
	if err := complete(c, digest); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if err := complete(c, other); err != nil {
		t.Errorf("another module: %v", err)
	}
	if _, err := RemoveModule(dir, "../x"); err == nil {
		t.Error("a path is taken for a digest")
	}
}
