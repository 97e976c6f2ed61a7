package wasmtime

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// diskCache keeps compiled code, a file a module: the code, its SHA-256, and a mark of this layout. The engine
// trusts what it loads as it trusts its own code, so nothing is returned whose sum does not match.
type diskCache struct {
	dir string
}

const cacheMark = "KWCWASM1"

var errCorrupt = errors.New("the file is damaged")

func newDiskCache(dir string) *diskCache {
	return &diskCache{dir: filepath.Join(dir, cacheKey())}
}

func (c *diskCache) path(digest string) string {
	return filepath.Join(c.dir, strings.TrimPrefix(digest, digestPrefix)+".cwasm")
}

// load is the compiled code of the module, os.ErrNotExist if there is none.
func (c *diskCache) load(digest string) ([]byte, error) {
	content, err := os.ReadFile(c.path(digest))
	if err != nil {
		return nil, fmt.Errorf("load compiled code: %w", err)
	}
	body, ok := bytes.CutSuffix(content, []byte(cacheMark))
	if !ok || len(body) < sha256.Size {
		return nil, fmt.Errorf("load compiled code %s: %w", c.path(digest), errCorrupt)
	}
	code, sum := body[:len(body)-sha256.Size], body[len(body)-sha256.Size:]
	if sha256.Sum256(code) != [sha256.Size]byte(sum) {
		return nil, fmt.Errorf("load compiled code %s: %w", c.path(digest), errCorrupt)
	}
	return code, nil
}

// save keeps compiled code. A reader sees all of it or nothing.
func (c *diskCache) save(digest string, code []byte) (err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	f, err := os.CreateTemp(c.dir, ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("keep compiled code: %w", err), os.Remove(f.Name()))
		}
	}()
	sum := sha256.Sum256(code)
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
