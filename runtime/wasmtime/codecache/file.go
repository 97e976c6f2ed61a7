package codecache

import (
	"bufio"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
)

const (
	// layout is the version of the file layout. A build with another layout does not see these
	// files, because each build must find only files that its own workers can use.
	layout = "3"
	mark   = "KWCWASM" + layout
	// footerSize is the size of two lengths of 8 bytes, the sum, and the mark.
	footerSize = 16 + sha256.Size + 8
	// MaxInfo bounds the data about a module that is kept in memory in addition to its code, in
	// bytes.
	MaxInfo = 16 << 20
)

// ErrCorrupt is the error of a file that is not exactly what was written for its module and key.
var ErrCorrupt = errors.New("the file is damaged, or not of this engine and module")

// File is a file of compiled code that was found complete.
type File struct {
	*os.File
	Code int64  // bytes of the engine's code, at the beginning
	Size int64  // bytes of the whole file
	Info []byte // the host's data about the module
}

// Resident returns how many bytes of the file guests can bring into memory, by running code or by
// copying data. Only the engine reads the rest, and only a few pages of it.
func (f *File) Resident() (int64, error) {
	object, err := elf.NewFile(io.NewSectionReader(f, 0, f.Code))
	if err != nil {
		return 0, err
	}
	var bytes uint64
	for _, s := range object.Sections {
		if s.Name == ".text" || s.Name == ".rodata.wasm" {
			bytes += s.Size
		}
	}
	return int64(min(bytes, math.MaxInt64)), nil
}

// FileSize returns the size of a file of compiled code, in bytes.
func FileSize(code, info []byte) int64 { return int64(len(code)) + int64(len(info)) + footerSize }

// newSum begins the sum of a file for this key and module. The caller adds the content of the file.
func newSum(key, digest string, code, info int64) hash.Hash {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s%s\n%s\n%d %d\n", folderPrefix, key, digest, code, info)
	return h
}

// Write writes a file of compiled code.
func Write(w io.Writer, key, digest string, code, info []byte) error {
	h := newSum(key, digest, int64(len(code)), int64(len(info)))
	for _, part := range [][]byte{code, info} {
		_, _ = h.Write(part)
	}
	footer := binary.LittleEndian.AppendUint64(nil, uint64(len(code)))
	footer = binary.LittleEndian.AppendUint64(footer, uint64(len(info)))
	footer = append(h.Sum(footer), mark...)
	for _, part := range [][]byte{code, info, footer} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Check reads a whole file of compiled code, and keeps only its info. The error is ErrCorrupt, or
// an error of the system.
func (c *Cache) Check(f *os.File, digest string) (*File, error) {
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := stat.Size()
	var footer [footerSize]byte
	if size < footerSize {
		return nil, ErrCorrupt
	}
	if _, err := f.ReadAt(footer[:], size-footerSize); err != nil {
		return nil, err
	}
	code, info := binary.LittleEndian.Uint64(footer[:]), binary.LittleEndian.Uint64(footer[8:])
	body := uint64(size) - footerSize
	if string(footer[footerSize-8:]) != mark || code > body || info != body-code || info > MaxInfo {
		return nil, ErrCorrupt
	}
	out := &File{File: f, Code: int64(code), Size: size, Info: make([]byte, info)}
	h := newSum(c.key, digest, out.Code, int64(info))
	from := bufio.NewReaderSize(io.NewSectionReader(f, 0, int64(body)), 256<<10)
	if _, err := io.CopyN(h, from, out.Code); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(from, out.Info); err != nil {
		return nil, err
	}
	_, _ = h.Write(out.Info)
	if [sha256.Size]byte(h.Sum(nil)) != [sha256.Size]byte(footer[16:]) {
		return nil, ErrCorrupt
	}
	return out, nil
}
