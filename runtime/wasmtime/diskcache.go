package wasmtime

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// diskCache keeps compiled code, a file a module: the code, a SHA-256, and a mark of this layout. The engine
// trusts what it loads as it trusts its own code, so nothing is returned that is not wholly what save wrote for
// this module, engine and settings: the sum covers those too.
type diskCache struct {
	dir  string
	size int64 // bound of all files, in bytes

	readOnly bool // it belongs to another process, which also sees to what is used
}

const (
	cacheMark   = "KWCWASM2"
	cacheSuffix = ".cwasm"
)

var (
	errCorrupt = errors.New("the file is damaged, or not of this engine and module")
	errForeign = errors.New("others than this user can write it")
)

func newDiskCache(dir string, size int64) *diskCache {
	return &diskCache{dir: filepath.Join(dir, cacheKey()), size: size}
}

func (c *diskCache) path(digest string) string {
	return filepath.Join(c.dir, strings.TrimPrefix(digest, digestPrefix)+cacheSuffix)
}

// sum is what tells code for this module and engine from any other bytes.
func (c *diskCache) sum(digest string, code []byte) [sha256.Size]byte {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%s\n%d\n", cacheKey(), digest, len(code))
	_, _ = h.Write(code)
	return [sha256.Size]byte(h.Sum(nil))
}

// load is the compiled code of the module, os.ErrNotExist if there is none.
func (c *diskCache) load(digest string) ([]byte, error) {
	path := c.path(digest)
	content, err := readOwn(path)
	if err != nil {
		return nil, fmt.Errorf("load compiled code: %w", err)
	}
	body, ok := bytes.CutSuffix(content, []byte(cacheMark))
	if !ok || len(body) < sha256.Size {
		return nil, fmt.Errorf("load compiled code %s: %w", path, errCorrupt)
	}
	code, sum := body[:len(body)-sha256.Size], body[len(body)-sha256.Size:]
	if c.sum(digest, code) != [sha256.Size]byte(sum) {
		return nil, fmt.Errorf("load compiled code %s: %w", path, errCorrupt)
	}
	if !c.readOnly {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // what is used last is collected last; no more than that hangs on it
	}
	return code, nil
}

// readOwn reads a file that nobody else may write.
func readOwn(path string) (content []byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || !isOwn(info) {
		return nil, fmt.Errorf("%s: %w", path, errForeign)
	}
	content = make([]byte, info.Size())
	_, err = io.ReadFull(f, content)
	return content, err
}

// isOwn says that this user, and nobody else, may write what info describes.
func isOwn(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid() && info.Mode().Perm()&0o022 == 0
}

// save keeps compiled code. A reader sees all of it or nothing.
func (c *diskCache) save(digest string, code []byte) (err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	f, err := os.CreateTemp(c.dir, newPrefix+"*") // mode 0600
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("keep compiled code: %w", err), os.Remove(f.Name()))
		}
	}()
	sum := c.sum(digest, code)
	for _, part := range [][]byte{code, sum[:], []byte(cacheMark)} {
		if _, err := f.Write(part); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), c.path(digest))
}
