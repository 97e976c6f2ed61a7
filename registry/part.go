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

// partSuffix ends the names of blobs that have not been fetched to their end. What there is of one
// outlives a transfer that breaks off, and a crash; it is not trusted before the digest of the
// whole has been found right.
const partSuffix = ".part"

// part is a blob that is being fetched. The goroutine that fetches it holds its lock.
type part struct {
	blobs blobs
	file  *os.File
	want  expected
	have  int64     // bytes
	hash  hash.Hash // of what there is
	done  bool
}

// part opens what there is of a blob. It waits while another goroutine or process fetches it.
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
		// An empty file is not made empty once more: ext4 would write it out when it is closed.
		if err == nil && (p.have > want.size || p.have > 0 && p.have < manifest.PreambleSize) {
			err = p.Restart()
		}
		if err == nil {
			return p, nil
		}
		_ = f.Close()
		if !errors.Is(err, errGone) { // else the other has brought it to its end
			return nil, err
		}
	}
}

// Size is how much there is, in bytes.
func (p *part) Size() int64 { return p.have }

// Restart forgets what there is.
func (p *part) Restart() error {
	p.have = 0
	p.hash.Reset()
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}

// Take adds what r gives: the content from a position on, which is the end of the part or 0. Wrong
// content is refused as soon as that is known.
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

// takePreamble reads a module's first bytes, so that what is none is refused before it is fetched.
func (p *part) takePreamble(r io.Reader) error {
	start := make([]byte, manifest.PreambleSize)
	n, err := io.ReadFull(r, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err // fewer bytes are not worth keeping
	}
	if _, err := manifest.IsComponent(start[:n]); err != nil {
		return err
	}
	_, err = io.MultiWriter(p.file, p.hash).Write(start[:n])
	p.have = int64(n)
	return err
}

// check compares the digest of the whole. What is wrong is not kept.
func (p *part) check() error {
	if digest := "sha256:" + hex.EncodeToString(p.hash.Sum(nil)); digest != p.want.digest {
		return fault.New(fault.ErrDigestMismatch, p.Restart(), "%v %s came with the digest %s", p.want.kind, p.want.digest, digest)
	}
	p.done = true
	return nil
}

// finish gives the complete blob its path, and closes the part.
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

// leave closes a part that was not finished. Only a transfer that broke off leaves something to go
// on with.
func (p *part) leave(err error) {
	var broken *distribution.InterruptedError
	if p.have == 0 || !errors.As(err, &broken) && !errors.Is(err, context.Canceled) {
		_ = os.Remove(p.file.Name()) // while it is locked; or it is found later
	}
	_ = p.file.Close()
}

// pin keeps a blob from being removed until it is released. fs.ErrNotExist: it was removed before.
func (b blobs) pin(ctx context.Context, digest string) (release func(), err error) {
	return lockPath(ctx, b.path(digest), unix.LOCK_SH)
}
