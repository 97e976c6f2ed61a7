package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// local takes a module from a file of the node. The file is read each time a container starts, so a
// new build is noticed. It is copied into the store, so that the digest always belongs to what
// runs.
func (s *Store) local(image string, ref distribution.Reference) (m Module, present bool, err error) {
	if !s.allowLocal {
		return Module{}, false, fault.New(fault.ErrLocalModules, nil, "image %.300q names a file of the node, which this node does not allow (--x-allow-local-modules)", image)
	}
	// Opening a named pipe must not block. The check below refuses it.
	f, err := os.OpenFile(ref.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Module{}, false, nil
	}
	if err != nil {
		return Module{}, false, fault.New(nil, err, "local module: %v", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return Module{}, false, fault.New(nil, err, "local module: %v", err)
	}
	if !info.Mode().IsRegular() {
		return Module{}, false, fault.New(fault.ErrNotWasm, nil, "local module %s is no regular file", ref.Path)
	}
	b, err := s.keep(f, info.Size())
	if err != nil {
		return Module{}, false, fault.New(nil, err, "local module %s: %v", ref.Path, err)
	}
	if ref.Digest != "" && b.digest != ref.Digest {
		return Module{}, false, fault.New(fault.ErrDigestMismatch, nil, "local module %s has the digest %s, not %s", ref.Path, b.digest, ref.Digest)
	}
	m = b.module()
	m.Image, m.ImageID = image, distribution.LocalPrefix+ref.Path+"@"+b.digest
	return m, true, nil
}

// keep returns the blob with f's content. It stores the content if it is new.
func (s *Store) keep(f *os.File, size int64) (blob, error) {
	limit := s.blobs.limit(manifest.Module)
	if size > limit {
		return blob{}, tooLarge(manifest.Module, size, limit)
	}
	hash := sha256.New()
	if _, err := io.CopyBuffer(hash, io.LimitReader(f, limit+1), make([]byte, copySize)); err != nil {
		return blob{}, err
	}
	b, err := s.blobs.find("sha256:"+hex.EncodeToString(hash.Sum(nil)), manifest.Module)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return blob{}, err
	}
	// The digest is computed again, because the file may have changed in the meantime.
	return s.blobs.put(f, expected{size: -1, kind: manifest.Module})
}
