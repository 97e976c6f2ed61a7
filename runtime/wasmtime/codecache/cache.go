package codecache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// folderPrefix starts the names of folders of compiled code.
	folderPrefix = "wasmtime-"
	// suffix ends the names of files of compiled code.
	suffix = ".cwasm"
	// newPrefix starts the names of files that are being written.
	newPrefix = ".new-"
)

// Cache is the compiled code that one build can use on this machine.
type Cache struct {
	dir      string
	key      string
	size     int64 // bound of all files together, in bytes
	readOnly bool
}

// Config says where a cache is and what is in it.
type Config struct {
	Dir  string // the folder; the files are in a subfolder for the key
	Key  string // identifies the code that this build can use on this machine
	Size int64  // bound of all files together, in bytes
	// ReadOnly is for a cache that another process fills. That process also notes which files are
	// used.
	ReadOnly bool
}

// New makes a cache. It reads and writes nothing.
func New(c Config) *Cache {
	return &Cache{
		dir:      filepath.Join(c.Dir, folderPrefix+c.Key+"-"+layout),
		key:      c.Key,
		size:     c.Size,
		readOnly: c.ReadOnly,
	}
}

// Dir returns the folder of the cache's files.
func (c *Cache) Dir() string { return c.dir }

// Path returns the path for the compiled code of a module. The file may not exist.
func (c *Cache) Path(digest string) string {
	return filepath.Join(c.dir, strings.TrimPrefix(digest, digestPrefix)+suffix)
}

// Open opens the compiled code of a module. The error is os.ErrNotExist if there is none. The
// caller closes the file.
func (c *Cache) Open(digest string) (*File, error) {
	path := c.Path(digest)
	f, err := openOwn(path)
	if err != nil {
		return nil, fmt.Errorf("loading compiled code: %w", err)
	}
	code, err := c.Check(f, digest)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("loading compiled code %s: %w", path, err), f.Close())
	}
	if !c.readOnly {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // only Collect uses this time
	}
	return code, nil
}

// Create makes a file for compiled code. Open does not find it yet. The caller must call either
// Keep or Discard.
func (c *Cache) Create() (*os.File, error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("keeping compiled code: %w", err)
	}
	f, err := os.CreateTemp(c.dir, newPrefix+"*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("keeping compiled code: %w", err)
	}
	return f, nil
}

// Discard removes a file of Create that is not needed.
func (c *Cache) Discard(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name()) // otherwise Collect does so later
}

// Keep gives its final name to a complete file of Create, and closes it.
func (c *Cache) Keep(f *os.File, digest string) error {
	err := f.Close()
	if err == nil {
		err = os.Rename(f.Name(), c.Path(digest))
	}
	if err != nil {
		return fmt.Errorf("keeping compiled code: %w", err)
	}
	return nil
}

// Stat describes the file of a module without reading it.
func (c *Cache) Stat(digest string) (os.FileInfo, error) { return os.Stat(c.Path(digest)) }

// Remove removes the compiled code of a module. The error is os.ErrNotExist if there is none.
func (c *Cache) Remove(digest string) error { return os.Remove(c.Path(digest)) }

const digestPrefix = "sha256:"

// CheckDigest returns an error for a text that is not the digest of a module.
func CheckDigest(digest string) error {
	raw, err := hex.DecodeString(strings.TrimPrefix(digest, digestPrefix))
	if !strings.HasPrefix(digest, digestPrefix) || err != nil || len(raw) != sha256.Size || digest != strings.ToLower(digest) {
		return fmt.Errorf("the module's digest must be sha256: and 64 hexadecimal digits, got %q", digest)
	}
	return nil
}

// PartDigestOf returns the digest under which the code of a module of a component is kept. It is
// not the module's own: as a command, the same module becomes other code.
func PartDigestOf(wasm []byte) string {
	h := sha256.New()
	_, _ = h.Write([]byte("a part of a component\n"))
	_, _ = h.Write(wasm)
	return digestPrefix + hex.EncodeToString(h.Sum(nil))
}

// DigestOf returns the digest of a module.
func DigestOf(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return digestPrefix + hex.EncodeToString(sum[:])
}
