package rootfs

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Layer is a layer of an image on disk: a tar, or one in gzip or zstd.
type Layer struct {
	Path string
	// DiffID is the digest of the uncompressed tar, `sha256:` and 64 hexadecimal digits; an empty
	// one allows any content.
	DiffID string
	// Ready is closed when the layer is on disk. It is nil if the layer is there from the start.
	Ready <-chan struct{}
}

// stream is a layer that is being unpacked. It counts, bounds and hashes what is read from it.
type stream struct {
	file   *os.File
	packed *counter
	plain  io.Reader
	close  func()
	hash   hash.Hash
	n      int64  // bytes read from plain
	left   *int64 // bytes that the image may still unpack
}

// openLayer opens the layer. The layers of an image share left.
func openLayer(l Layer, left *int64) (*stream, error) {
	f, err := os.Open(l.Path)
	if err != nil {
		return nil, err
	}
	s := &stream{file: f, packed: &counter{r: f}, hash: sha256.New(), left: left, close: func() {}}
	if err := s.unpack(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

// A zstd stream may begin with skippable frames, which have 16 magic numbers.
var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	skipMagic = []byte{0x2a, 0x4d, 0x18}
)

// unpack finds out how the layer is compressed. It ignores the media type, which may be wrong.
func (s *stream) unpack() error {
	r := bufio.NewReaderSize(s.packed, 64<<10)
	start, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case bytes.HasPrefix(start, gzipMagic):
		z, err := gzip.NewReader(r)
		if err != nil {
			return invalid("gzip: %v", err)
		}
		s.plain = z
	case bytes.Equal(start, zstdMagic), len(start) == 4 && start[0]>>4 == 5 && bytes.Equal(start[1:], skipMagic):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		s.plain, s.close = z, z.Close
	default:
		s.plain = r
	}
	return nil
}

func (s *stream) Close() error {
	s.close()
	return s.file.Close()
}

// Read gives the tar's bytes.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.plain.Read(p)
	s.n += int64(n)
	*s.left -= int64(n)
	s.hash.Write(p[:n])
	switch {
	case *s.left < 0:
		return n, tooLarge("its layers unpack to more than is allowed")
	case s.n > ratioFrom && s.n/maxRatio > s.packed.n:
		return n, tooLarge("a layer unpacks to more than %d times its size, after %d bytes", maxRatio, s.packed.n)
	case err != nil && !errors.Is(err, io.EOF) && s.packed.err == nil:
		return n, invalid("unpacking it: %v", err)
	}
	return n, err
}

// finish reads the rest of the stream after the end of the tar, and compares the digest.
func (s *stream) finish(want string) error {
	if _, err := io.Copy(io.Discard, s); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(s.hash.Sum(nil)); want != "" && got != want {
		return fmt.Errorf("%w: unpacked it has the digest %s, and the image's config says %.100s", ErrDigest, got, want)
	}
	return nil
}

// counter counts the bytes that are read from r, and keeps r's error.
type counter struct {
	r   io.Reader
	n   int64
	err error // other than io.EOF
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
