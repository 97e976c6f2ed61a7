package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// partSuffix ends the names of blobs that are fetched only in part. These files remain after a
// broken transfer and after a crash. Their content is trusted only after the digest of the complete
// blob was checked.
const partSuffix = ".part"

// part is a blob that is being fetched. The goroutine that fetches it holds its lock.
type part struct {
	blobs blobs
	file  *os.File
	want  expected
	have  int64     // bytes
	hash  hash.Hash // of the bytes so far
	done  bool
}

// part opens the part of a blob. It waits while another goroutine or process fetches this blob.
func (b blobs) part(ctx context.Context, want expected) (*part, error) {
	for {
		f, err := os.OpenFile(b.path(want.digest)+partSuffix, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		p := &part{blobs: b, file: f, want: want, hash: sha256.New()}
		if err = awaitLock(ctx, f, unix.LOCK_EX); err == nil {
			p.have, err = io.CopyBuffer(struct{ io.Writer }{p.hash}, struct{ io.Reader }{f}, make([]byte, copySize))
		}
		// An empty file is not truncated again, because ext4 would then write it out on close.
		if err == nil && (p.have > want.size || p.have > 0 && p.have < manifest.PreambleSize) {
			err = p.Restart()
		}
		if err == nil {
			return p, nil
		}
		_ = f.Close()
		if !errors.Is(err, errGone) { // otherwise another has completed it
			return nil, err
		}
	}
}

// Size is how many bytes the part has.
func (p *part) Size() int64 { return p.have }

// Restart discards what the part has.
func (p *part) Restart() error {
	p.have = 0
	p.hash.Reset()
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}

// Take adds the content that r gives. from is its position in the content: the end of the part, or
// 0. Wrong content is refused as early as possible.
func (p *part) Take(r io.Reader, from int64) error {
	if from != p.have {
		if err := p.Restart(); err != nil {
			return err
		}
	}
	r = io.LimitReader(r, p.want.size-p.have+1)
	if p.want.kind == manifest.Module && p.have == 0 {
		if err := p.takePreamble(r); err != nil {
			return err
		}
	}
	err := p.copy(r)
	switch {
	case err != nil:
		return err
	case p.have > p.want.size:
		return fault.New(fault.ErrDigestMismatch, nil, "%v %s is larger than the %d bytes that its manifest says", p.want.kind, p.want.digest, p.want.size)
	case p.have < p.want.size:
		return fault.New(fault.ErrDigestMismatch, nil, "%v %s ended after %d of %d bytes", p.want.kind, p.want.digest, p.have, p.want.size)
	}
	return p.check()
}

// copy adds all that r gives.
func (p *part) copy(r io.Reader) error {
	to := io.MultiWriter(p.file, p.hash)
	buffer := make([]byte, copySize)
	for {
		n, err := r.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
			p.have += int64(n)
			if p.blobs.progress != nil {
				p.blobs.progress(p.want.digest, min(p.have, p.want.size), p.want.size)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// takePreamble reads a module's first bytes, so that other content is refused before all of it is
// fetched.
func (p *part) takePreamble(r io.Reader) error {
	start := make([]byte, manifest.PreambleSize)
	n, err := io.ReadFull(r, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err // so few bytes are not worth keeping
	}
	if _, err := manifest.IsComponent(start[:n]); err != nil {
		return err
	}
	_, err = io.MultiWriter(p.file, p.hash).Write(start[:n])
	p.have = int64(n)
	return err
}

// check checks the digest of the complete content. It discards wrong content.
func (p *part) check() error {
	if digest := "sha256:" + hex.EncodeToString(p.hash.Sum(nil)); digest != p.want.digest {
		return fault.New(fault.ErrDigestMismatch, p.Restart(), "%v %s came with the digest %s", p.want.kind, p.want.digest, digest)
	}
	p.done = true
	return nil
}

// finish moves the complete blob to its path, and closes the part.
func (p *part) finish() (blob, error) {
	defer func() { _ = p.file.Close() }()
	if !p.done {
		return blob{}, errDamaged
	}
	if err := os.Rename(p.file.Name(), p.blobs.path(p.want.digest)); err != nil {
		return blob{}, err
	}
	return p.blobs.find(p.want.digest, p.want.kind)
}

// leave closes a part that is not complete. It keeps the file only if the transfer broke off, so
// that a later one can continue it.
func (p *part) leave(err error) {
	var broken *distribution.InterruptedError
	if p.have == 0 || !errors.As(err, &broken) && !errors.Is(err, context.Canceled) {
		_ = os.Remove(p.file.Name()) // while it is locked; if this fails, a later process finds the file
	}
	_ = p.file.Close()
}

// pin protects a blob from removal until release is called. The error is fs.ErrNotExist if the blob
// was removed before.
func (b blobs) pin(ctx context.Context, digest string) (release func(), err error) {
	return lockPath(ctx, b.path(digest), unix.LOCK_SH)
}
