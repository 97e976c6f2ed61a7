package rootfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
)

// Module is a WebAssembly file of an image.
type Module struct {
	Digest    string `json:"digest"` // `sha256:` and 64 hexadecimal digits
	Size      int64  `json:"size"`   // in bytes
	Component bool   `json:"component,omitempty"`
}

// Modules finds the WebAssembly files below dir by their first bytes, and hashes them. The keys are
// absolute paths in the image without links. maxSize bounds a module, in bytes.
func Modules(dir string, maxSize int64) (map[string]Module, error) {
	found := map[string]Module{}
	known := map[uint64]Module{} // by inode: a file may have many names
	err := filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		m, is, err := moduleAt(at, maxSize, known)
		if err != nil || !is {
			return err
		}
		if len(found) == maxModules {
			return tooLarge("it has more than %d modules", maxModules)
		}
		rel, err := filepath.Rel(dir, at)
		found[path.Join("/", filepath.ToSlash(rel))] = m
		return err
	})
	return found, err
}

// Preambles of WebAssembly binaries (core specification 5.5.16; component model, Binary.md).
var (
	modulePreamble    = []byte("\x00asm\x01\x00\x00\x00")
	componentPreamble = []byte("\x00asm\x0d\x00\x01\x00")
)

func moduleAt(at string, maxSize int64, known map[uint64]Module) (m Module, is bool, err error) {
	f, err := os.Open(at)
	if err != nil {
		return Module{}, false, err
	}
	defer f.Close() //nolint:errcheck // the file was only read
	start := make([]byte, len(modulePreamble))
	if _, err := io.ReadFull(f, start); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		return Module{}, false, err
	}
	component := bytes.Equal(start, componentPreamble)
	if !component && !bytes.Equal(start, modulePreamble) {
		return Module{}, false, nil
	}
	info, err := f.Stat()
	if err != nil {
		return Module{}, false, err
	}
	if info.Size() > maxSize {
		return Module{}, false, tooLarge("its module %.200q has %d bytes; this node takes modules of up to %d (--max-module-size)", filepath.Base(at), info.Size(), maxSize)
	}
	inode := info.Sys().(*syscall.Stat_t).Ino
	if m, seen := known[inode]; seen {
		return m, true, nil
	}
	sum := sha256.New()
	sum.Write(start)
	if _, err := io.Copy(sum, f); err != nil {
		return Module{}, false, err
	}
	m = Module{Digest: "sha256:" + hex.EncodeToString(sum.Sum(nil)), Size: info.Size(), Component: component}
	known[inode] = m
	return m, true, nil
}
