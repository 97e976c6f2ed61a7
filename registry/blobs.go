package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// tempPrefix marks files that are being written.
const tempPrefix = ".tmp-"

// copySize is the size of the buffer that content passes through, in bytes.
const copySize = 128 << 10

// blobs is the content-addressed part of a store.
type blobs struct {
	dir string
	max int64 // bytes a blob
}

// blob is a stored module.
type blob struct {
	path      string
	digest    string
	size      int64
	component bool
}

func (b blobs) path(digest string) string {
	return filepath.Join(b.dir, strings.TrimPrefix(digest, "sha256:"))
}

// find returns the stored blob of that digest; fs.ErrNotExist when there is none.
func (b blobs) find(digest string) (blob, error) {
	path := b.path(digest)
	f, err := os.Open(path)
	if err != nil {
		return blob{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return blob{}, err
	}
	var start [preambleSize]byte
	if _, err := io.ReadFull(f, start[:]); err != nil {
		return blob{}, fmt.Errorf("read %s: %w", path, err)
	}
	component, err := isComponent(start[:])
	if err != nil {
		return blob{}, fmt.Errorf("%s: %w", path, err)
	}
	return blob{path: path, digest: digest, size: info.Size(), component: component}, nil
}

// expected is what is known of content before it is read.
type expected struct {
	digest string // empty: any
	size   int64  // negative: any
}

// put stores what r gives, if it is a WebAssembly binary and as expected. On an error nothing is left.
func (b blobs) put(r io.Reader, want expected) (blob, error) {
	limit := b.max
	if want.size >= 0 {
		if want.size > b.max {
			return blob{}, b.tooLarge(want.size)
		}
		limit = want.size
	}
	var stored blob
	err := writeFile(b.dir, func(f *os.File) (string, error) {
		digest, size, component, err := receive(f, io.LimitReader(r, limit+1))
		switch {
		case err != nil:
			return "", err
		case want.size < 0 && size > limit:
			return "", b.tooLarge(size)
		case size > limit:
			return "", fail(ErrDigestMismatch, nil, "module %s is larger than the %d bytes that its manifest says", want.digest, want.size)
		case want.size >= 0 && size < want.size:
			return "", fail(ErrDigestMismatch, nil, "module %s ended after %d of %d bytes", want.digest, size, want.size)
		case want.digest != "" && digest != want.digest:
			return "", fail(ErrDigestMismatch, nil, "module %s came with the digest %s", want.digest, digest)
		}
		stored = blob{path: b.path(digest), digest: digest, size: size, component: component}
		return stored.path, nil
	})
	return stored, err
}

func (b blobs) tooLarge(size int64) error {
	return fail(ErrTooLarge, nil, "the module has %d bytes or more; this node takes modules of up to %d", size, b.max)
}

// receive copies r to w and hashes it on the way. It looks at the preamble first, so that what is no module is
// refused before it is fetched.
func receive(w io.Writer, r io.Reader) (digest string, size int64, component bool, err error) {
	start := make([]byte, preambleSize)
	n, err := io.ReadFull(r, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", 0, false, err
	}
	if component, err = isComponent(start[:n]); err != nil {
		return "", 0, false, err
	}
	hash := sha256.New()
	to := io.MultiWriter(w, hash)
	if _, err := to.Write(start); err != nil {
		return "", 0, false, err
	}
	m, err := io.CopyBuffer(to, r, make([]byte, copySize))
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), int64(n) + m, component, err
}

// writeFile makes a file of mode 0600 in dir: fill writes it and says where it belongs. It appears there
// complete and synced, or on an error not at all.
func writeFile(dir string, fill func(*os.File) (path string, err error)) (err error) {
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // closed already in some cases
			_ = os.Remove(f.Name())
		}
	}()
	path, err := fill(f)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return d.Sync() // the name must be on disk before anything refers to it
}

// clean makes dir, private, and removes what a crash left half-written in it.
func clean(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tempPrefix) {
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
