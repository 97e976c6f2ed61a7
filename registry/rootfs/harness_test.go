package rootfs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Constructors of tar entries for tests.

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), Linkname: content}
}

func dir(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}
}

func symlink(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}

func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}
}

func device(name string, kind byte) tar.Header {
	return tar.Header{Typeflag: kind, Name: name, Devmajor: 1, Devminor: 3}
}

var stamp = time.Unix(1_600_000_000, 0)

// archive makes a tar. For a file, the link target of the entry is the file's content.
func archive(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
		}
		if h.ModTime.IsZero() && h.Typeflag != tar.TypeXGlobalHeader {
			h.ModTime = stamp
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// retyped changes the kind of the first entry in a tar to one that the tar package would not write.
func retyped(content []byte, kind byte) []byte {
	const typeAt, sumAt, sumEnd = 156, 148, 156
	header := content[:512]
	header[typeAt] = kind
	copy(header[sumAt:sumEnd], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[sumAt:sumEnd], fmt.Sprintf("%06o\x00 ", sum))
	return content
}

// extended is an extended header with PAX records for the next entry.
func extended(t testing.TB, records ...string) []byte {
	t.Helper()
	var all string
	for _, r := range records {
		n := len(r) + 2
		for n != len(fmt.Sprintf("%d %s\n", n, r)) {
			n++
		}
		all += fmt.Sprintf("%d %s\n", n, r)
	}
	content := retyped(archive(t, file("pax", all)), tar.TypeXHeader)
	return content[:len(content)-1024] // without the end of the tar
}

// bomb is a layer of a few KiB with a file of size zero bytes. It uses zstd blocks that repeat one
// byte (RFC 8878, 3.1.1).
func bomb(t testing.TB, size int64) []byte {
	t.Helper()
	const block = 128 << 10
	header := archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "zeros", Linkname: "x", Size: 1})[:512]
	copy(header[124:136], fmt.Sprintf("%011o\x00", size))
	header = retyped(header, tar.TypeReg)
	b := append([]byte{}, zstdMagic...)
	b = append(b, 0, 7<<3) // no checksum, no size, a window of 128 KiB
	b = append(b, 512<<3&0xff, 512>>5, 0)
	b = append(b, header...)
	for range size / block {
		b = append(b, 1<<1|block<<3&0xff, block>>5&0xff, block>>13, 0)
	}
	return append(b, 1|1<<1, 0, 0, 0) // the last block is empty
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(content, nil)
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// roomy are limits that no normal test reaches.
var roomy = Limits{Bytes: 64 << 20, Entries: 10_000}

// unpack applies layers to a folder. around is the folder that contains it.
func unpack(t testing.TB, limits Limits, layers ...[]byte) (root, around string, err error) {
	t.Helper()
	around = t.TempDir()
	root = filepath.Join(around, "a", "b", "root")
	if err := os.MkdirAll(root, 0o700); err != nil {
		t.Fatal(err)
	}
	stored := t.TempDir()
	var list []Layer
	for i, content := range layers {
		at := filepath.Join(stored, fmt.Sprint(i))
		if err := os.WriteFile(at, content, 0o600); err != nil {
			t.Fatal(err)
		}
		list = append(list, Layer{Path: at})
	}
	return root, around, Unpack(t.Context(), root, list, limits)
}

// listing lists everything below root in order, one entry a line. Directories end in a slash; links
// and files show their content.
func listing(t testing.TB, root string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(root, func(at string, e fs.DirEntry, err error) error {
		if err != nil || at == root {
			return err
		}
		rel, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		switch {
		case e.IsDir():
			fmt.Fprintf(&out, "%s/\n", rel)
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(at)
			fmt.Fprintf(&out, "%s -> %s\n", rel, target)
			return err
		case e.Type().IsRegular():
			content, err := os.ReadFile(at)
			fmt.Fprintf(&out, "%s = %s\n", rel, content)
			return err
		default:
			fmt.Fprintf(&out, "%s is a %v\n", rel, e.Type())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// checkContained checks that nothing was written beside the root.
func checkContained(t testing.TB, around string) {
	t.Helper()
	for _, dir := range []string{around, filepath.Join(around, "a"), filepath.Join(around, "a", "b")} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != 1 {
			t.Errorf("beside the root, in %s: %v", dir, entries)
		}
	}
}
