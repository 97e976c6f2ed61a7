package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// tempPrefix marks files that are being written.
const tempPrefix = ".tmp-"

// copySize is the size of the buffer for copying content, in bytes.
const copySize = 128 << 10

// blobs is the content-addressed part of a store.
type blobs struct {
	dir       string
	maxModule int64                                 // bytes
	maxLayer  int64                                 // bytes
	progress  func(digest string, done, size int64) // of fetching; may be nil
}

// limit is the size of the largest blob of a kind.
func (b blobs) limit(k manifest.Kind) int64 {
	if k == manifest.Module {
		return b.maxModule
	}
	return b.maxLayer
}

// blob is a stored module or layer.
type blob struct {
	path      string
	digest    string
	size      int64
	component bool
	synced    bool
}

// module is the description of a module's blob for callers.
func (b blob) module() Module {
	return Module{Path: b.path, Digest: b.digest, Size: b.size, Component: b.component}
}

func (b blobs) path(digest string) string {
	return filepath.Join(b.dir, strings.TrimPrefix(digest, "sha256:"))
}

// find returns the stored blob with that digest, or fs.ErrNotExist if there is none.
func (b blobs) find(digest string, k manifest.Kind) (blob, error) {
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
	stored := blob{path: path, digest: digest, size: info.Size(), synced: info.Mode().Perm() == syncedMode}
	if k != manifest.Module {
		return stored, nil
	}
	var start [manifest.PreambleSize]byte
	if _, err := io.ReadFull(f, start[:]); err != nil {
		return blob{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if stored.component, err = manifest.IsComponent(start[:]); err != nil {
		return blob{}, fmt.Errorf("%s: %w", path, err)
	}
	return stored, nil
}

// expected is what the store knows about content before it reads it.
type expected struct {
	digest string // empty: any
	size   int64  // negative: any
	kind   manifest.Kind
}

// put stores what r gives, if it is as expected. A module must be a WebAssembly binary. After an
// error nothing is left.
func (b blobs) put(r io.Reader, want expected) (blob, error) {
	limit := b.limit(want.kind)
	if want.size > limit {
		return blob{}, tooLarge(want.kind, want.size, limit)
	}
	if want.size >= 0 {
		limit = want.size
	}
	var stored blob
	err := writeFile(b.dir, func(f *os.File) (string, error) {
		digest, size, component, err := receive(f, io.LimitReader(r, limit+1), want.kind)
		switch {
		case err != nil:
			return "", err
		case want.size < 0 && size > limit:
			return "", tooLarge(want.kind, size, limit)
		case size > limit:
			return "", fault.New(fault.ErrDigestMismatch, nil, "%v %s is larger than the %d bytes that its manifest says", want.kind, want.digest, want.size)
		case want.size >= 0 && size < want.size:
			return "", fault.New(fault.ErrDigestMismatch, nil, "%v %s ended after %d of %d bytes", want.kind, want.digest, size, want.size)
		case want.digest != "" && digest != want.digest:
			return "", fault.New(fault.ErrDigestMismatch, nil, "%v %s came with the digest %s", want.kind, want.digest, digest)
		}
		stored = blob{path: b.path(digest), digest: digest, size: size, component: component}
		return stored.path, nil
	})
	return stored, err
}

func tooLarge(k manifest.Kind, size, limit int64) error {
	setting := ""
	if k == manifest.Module {
		setting = " (--max-module-size)"
	}
	return fault.New(fault.ErrTooLarge, nil, "the %v has %d bytes or more; this node takes %vs of up to %d%s", k, size, k, limit, setting)
}

// receive copies r to w and hashes it at the same time. It checks a module's preamble first, so a
// file that is no module is refused before all of it is fetched.
func receive(w io.Writer, r io.Reader, k manifest.Kind) (digest string, size int64, component bool, err error) {
	start := make([]byte, manifest.PreambleSize)
	n, err := io.ReadFull(r, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", 0, false, err
	}
	start = start[:n]
	if k == manifest.Module {
		if component, err = manifest.IsComponent(start); err != nil {
			return "", 0, false, err
		}
	}
	hash := sha256.New()
	to := io.MultiWriter(w, hash)
	if _, err := to.Write(start); err != nil {
		return "", 0, false, err
	}
	m, err := io.CopyBuffer(to, r, make([]byte, copySize))
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), int64(n) + m, component, err
}

// maxRecord bounds a file of the store's own notes, in bytes. The largest such file is a list of an
// image's modules.
const maxRecord = 64 << 20

// readRecord reads a file of the store's notes. A disk error or another process may have changed
// it.
func readRecord(path string) ([]byte, error) { return credentials.ReadFile(path, maxRecord) }

// writeFile makes a file of mode 0600 in dir. fill writes the content and returns the file's path.
// The complete file appears there; after an error no file appears. It is synced if it replaces
// another file.
func writeFile(dir string, fill func(*os.File) (path string, err error)) (err error) {
	f, err := createTemp(dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // may be closed already
			_ = os.Remove(f.Name())
		}
	}()
	path, err := fill(f)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// createTemp makes a locked file. A process that cleans up skips locked files.
func createTemp(dir string) (*os.File, error) {
	for {
		f, err := os.CreateTemp(dir, tempPrefix+"*")
		if err != nil {
			return nil, err
		}
		if err = awaitLock(context.Background(), f, unix.LOCK_EX); err == nil { // another process holds the lock only while it removes the file
			return f, nil
		}
		_ = f.Close()
		if !errors.Is(err, errGone) {
			return nil, err
		}
	}
}

// clean makes the private folder dir, and removes half-written files that a crash left in it.
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
			if _, err := removeUnlocked(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeUnlocked removes a file, or a folder with everything in it, unless it is locked. It reports
// whether it removed it.
func removeUnlocked(path string) (gone bool, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	locked, err := tryLock(f, unix.LOCK_EX)
	if errors.Is(err, errGone) {
		return true, nil
	}
	if err != nil || !locked {
		return false, err
	}
	return true, filetree.Remove(context.Background(), path)
}
