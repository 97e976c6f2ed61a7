package rootfs

import (
	"archive/tar"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzUnpack checks that any two layers write nothing beside the root and read nothing from there,
// and that the result keeps to the limits.
func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, file("a", "1"), dir("d"), file("d/b", "2")), archive(f, file(".wh.a", ""), file("d/.wh..wh..opq", ""), file("d/c", "3")))
	f.Add(archive(f, symlink("out", "../../.."), file("out/x", "1")), archive(f, link("h", "out/secret"), file("out/secret", "2")))
	f.Add(archive(f, symlink("a", "b/.."), symlink("b", "/a"), file("a/x", "1")), gzipped(f, archive(f, file("../x", "1"))))
	f.Add(archive(f, file("/x", "1")), zstded(f, archive(f, device("dev", tar.TypeChar))))
	f.Add(archive(f, dir("d/e"), symlink("l", "d/e/../.."), file("l/d/e/x", "1")), archive(f, file("l", "2"), dir("x")))
	f.Add(append(extended(f, "path=../../x", "size=1"), archive(f, file("a", "1"))...), bomb(f, 128<<10))
	limits := Limits{Bytes: 1 << 20, Entries: 200}
	f.Fuzz(func(t *testing.T, lower, upper []byte) {
		root, around, err := unpack(t, limits, lower, upper)
		if err != nil && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrTooLarge) {
			// If the kernel refuses a name, the error is one of the disk.
			var disk *fs.PathError
			var link *os.LinkError
			if !errors.As(err, &disk) && !errors.As(err, &link) {
				t.Errorf("error %v", err)
			}
		}
		checkContained(t, around)
		total := int64(0)
		walked := filepath.WalkDir(root, func(at string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 || strings.HasPrefix(e.Name(), whiteoutPrefix) {
				t.Errorf("made %s, a %v", at, e.Type())
			}
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				total += info.Size()
			}
			return nil
		})
		if walked != nil {
			t.Error(walked)
		}
		if total > 200*limits.Bytes { // a file counts once for each of its names
			t.Errorf("%d bytes unpacked", total)
		}
		if modules, err := Modules(root, limits.Bytes); err == nil {
			for at := range modules {
				if found, is, err := Program(root, modules, at, nil, ""); !is || found != at || err != nil {
					t.Errorf("module %q is found as %q, %v, %v", at, found, is, err)
				}
			}
		}
	})
}
