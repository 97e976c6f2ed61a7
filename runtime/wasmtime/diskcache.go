package wasmtime

import (
	"bufio"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// diskCache keeps compiled code, a file a module: the engine's code, which is an ELF file and says by itself where it ends; what
// the host knows of the module besides (info); and a footer. The engine trusts what it loads as it trusts its own code, so no file
// is given out that is not wholly what was written for this module, engine and settings: the footer's sum covers those too.
//
// Processes map these files and run what is in them. So a file has its name only when it is complete; it is never written to
// after that, nor cut, only removed, and lives on for those who have it mapped.
type diskCache struct {
	dir  string
	size int64 // bound of all files, in bytes

	readOnly bool // it belongs to another process, which also sees to what is used
}

const (
	// cacheLayout is that of the files. Builds with another do not see them: each is to find what its own workers want.
	cacheLayout = "3"
	cacheMark   = "KWCWASM" + cacheLayout
	cacheSuffix = ".cwasm"
	// footerSize is two lengths of 8 bytes, the sum, and the mark.
	footerSize = 16 + sha256.Size + 8
	// maxInfo bounds what is kept in memory of a module besides its code, in bytes.
	maxInfo = 16 << 20
)

var (
	errCorrupt = errors.New("the file is damaged, or not of this engine and module")
	errForeign = errors.New("others than this user can write it")
)

// codeFile is a file of compiled code that was found whole.
type codeFile struct {
	*os.File
	code int64  // bytes of the engine's code, at the beginning
	size int64  // bytes of all
	info []byte // what the host knows of the module
}

// resident is how many bytes of the file guests can have in memory, by running code or by copying data: the rest is read by the
// engine alone, a page here and there.
func (f *codeFile) resident() (int64, error) {
	object, err := elf.NewFile(io.NewSectionReader(f, 0, f.code))
	if err != nil {
		return 0, err
	}
	var bytes uint64
	for _, s := range object.Sections {
		if s.Name == ".text" || s.Name == ".rodata.wasm" {
			bytes += s.Size
		}
	}
	return saturated(bytes), nil
}

func newDiskCache(dir string, size int64) *diskCache {
	return &diskCache{dir: filepath.Join(dir, cacheKey()+"-"+cacheLayout), size: size}
}

func (c *diskCache) path(digest string) string {
	return filepath.Join(c.dir, strings.TrimPrefix(digest, digestPrefix)+cacheSuffix)
}

// open is the compiled code of the module, os.ErrNotExist if there is none. The caller closes it.
func (c *diskCache) open(digest string) (*codeFile, error) {
	path := c.path(digest)
	f, err := openOwn(path)
	if err != nil {
		return nil, fmt.Errorf("load compiled code: %w", err)
	}
	code, err := checkCode(f, digest)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("load compiled code %s: %w", path, err), f.Close())
	}
	if !c.readOnly {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // what is used last is collected last; no more than that hangs on it
	}
	return code, nil
}

// openOwn opens a file that nobody else may write.
func openOwn(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || !isOwn(info)) {
		err = fmt.Errorf("%s: %w", path, errForeign)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// isOwn says that this user, and nobody else, may write what info describes.
func isOwn(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid() && info.Mode().Perm()&0o022 == 0
}

// create makes a file for compiled code that has no name yet under which it would be found. Either keep or discard is to follow.
func (c *diskCache) create() (*os.File, error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("keep compiled code: %w", err)
	}
	f, err := os.CreateTemp(c.dir, newPrefix+"*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("keep compiled code: %w", err)
	}
	return f, nil
}

// discard removes a file of create that is not kept.
func (c *diskCache) discard(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name()) // or collect does, later
}

// keep gives a file that is whole its name.
func (c *diskCache) keep(f *os.File, digest string) error {
	err := f.Close()
	if err == nil {
		err = os.Rename(f.Name(), c.path(digest))
	}
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	return nil
}

// fileSize is the size of a file of compiled code, in bytes.
func fileSize(code, info []byte) int64 { return int64(len(code)) + int64(len(info)) + footerSize }

// newSum is what tells a file for this module and engine from any other, once it has the file's content.
func newSum(digest string, code, info int64) hash.Hash {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%s\n%d %d\n", cacheKey(), digest, code, info)
	return h
}

// writeCode writes a file of compiled code.
func writeCode(w io.Writer, digest string, code, info []byte) error {
	h := newSum(digest, int64(len(code)), int64(len(info)))
	for _, part := range [][]byte{code, info} {
		_, _ = h.Write(part)
	}
	footer := binary.LittleEndian.AppendUint64(nil, uint64(len(code)))
	footer = binary.LittleEndian.AppendUint64(footer, uint64(len(info)))
	footer = append(h.Sum(footer), cacheMark...)
	for _, part := range [][]byte{code, info, footer} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// checkCode reads all of a file of compiled code, without keeping more of it than its info. The error is errCorrupt, or of
// the system.
func checkCode(f *os.File, digest string) (*codeFile, error) {
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := stat.Size()
	var footer [footerSize]byte
	if size < footerSize {
		return nil, errCorrupt
	}
	if _, err := f.ReadAt(footer[:], size-footerSize); err != nil {
		return nil, err
	}
	code, info := binary.LittleEndian.Uint64(footer[:]), binary.LittleEndian.Uint64(footer[8:])
	body := uint64(size) - footerSize
	if string(footer[footerSize-8:]) != cacheMark || code > body || info != body-code || info > maxInfo {
		return nil, errCorrupt
	}
	out := &codeFile{File: f, code: int64(code), size: size, info: make([]byte, info)}
	h := newSum(digest, out.code, int64(info))
	from := bufio.NewReaderSize(io.NewSectionReader(f, 0, int64(body)), 256<<10)
	if _, err := io.CopyN(h, from, out.code); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(from, out.info); err != nil {
		return nil, err
	}
	_, _ = h.Write(out.info)
	if [sha256.Size]byte(h.Sum(nil)) != [sha256.Size]byte(footer[16:]) {
		return nil, errCorrupt
	}
	return out, nil
}
