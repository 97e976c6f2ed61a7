package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// docs/security.md: "The tars of a root filesystem are unpacked below a directory that no name or
// link in them leads out of"
func TestUnpack(t *testing.T) {
	layer := func(entries ...tar.Header) []tar.Header { return entries }
	for _, tt := range []struct {
		name   string
		layers [][]tar.Header
		want   string
	}{
		{
			"files, and directories that no entry makes",
			[][]tar.Header{layer(dir("./"), file("./a", "1"), file("b/c/d", "2"), dir("e/"))},
			"a = 1\nb/\nb/c/\nb/c/d = 2\ne/\n",
		},
		{
			"a file replaced, in its layer and in a later one",
			[][]tar.Header{layer(file("a", "1"), file("a", "2"), file("b", "1")), layer(file("b", "3"))},
			"a = 2\nb = 3\n",
		},
		{
			"a directory stays when it comes again, and goes when a file takes its at",
			[][]tar.Header{layer(file("d/x", "1"), file("f/x", "1")), layer(dir("d"), file("f", "2"))},
			"d/\nd/x = 1\nf = 2\n",
		},
		{
			"whiteout",
			[][]tar.Header{layer(file("a", "1"), file("d/x", "1"), file("d/y", "1"), file("e/x", "1")), layer(file("d/.wh.x", ""), file(".wh.e", ""), file(".wh.none", ""), file("none/.wh.x", ""))},
			"a = 1\nd/\nd/y = 1\n",
		},
		{
			"a whiteout does not hide its own layer's, whatever the order",
			[][]tar.Header{layer(file("a", "1"), file("b", "1")), layer(file(".wh.a", ""), file("a", "2"), file("b", "2"), file(".wh.b", ""))},
			"a = 2\nb = 2\n",
		},
		{
			"a whiteout of a directory that its layer makes again",
			[][]tar.Header{layer(file("d/old", "1"), file("d/s/old", "1")), layer(file("d/s/new", "2"), file(".wh.d", ""))},
			"d/\nd/s/\nd/s/new = 2\n",
		},
		{
			"opaque, at the beginning",
			[][]tar.Header{layer(file("d/old", "1"), file("d/s/old", "1"), file("x", "1")), layer(dir("d"), file("d/.wh..wh..opq", ""), file("d/s/new", "2"))},
			"d/\nd/s/\nd/s/new = 2\nx = 1\n",
		},
		{
			"opaque, at the end",
			[][]tar.Header{layer(file("d/old", "1"), file("d/s/old", "1")), layer(file("d/s/new", "2"), file("d/new", "2"), file("d/.wh..wh..opq", ""))},
			"d/\nd/new = 2\nd/s/\nd/s/new = 2\n",
		},
		{
			"opaque root",
			[][]tar.Header{layer(file("d/old", "1"), file("a", "1")), layer(file("b", "2"), file(".wh..wh..opq", ""))},
			"b = 2\n",
		},
		{
			"what other storage drivers leave in layers",
			[][]tar.Header{layer(file(".wh..wh.plnk", ""), file(".wh..wh.aufs", ""), file("a", "1"))},
			"a = 1\n",
		},
		{
			"links, followed in the image",
			[][]tar.Header{layer(symlink("lib", "usr/lib"), dir("usr/lib"), file("lib/a", "1"), symlink("var/run", "/run"), dir("run"), file("var/run/pid", "2"), symlink("up", "../../../../usr"), file("up/b", "3"))},
			"lib -> usr/lib\nrun/\nrun/pid = 2\nup -> ../../../../usr\nusr/\nusr/b = 3\nusr/lib/\nusr/lib/a = 1\nvar/\nvar/run -> /run\n",
		},
		{
			"a link to what is not there yet",
			[][]tar.Header{layer(symlink("d", "/made/later"), file("d/a", "1"))},
			"d -> /made/later\nmade/\nmade/later/\nmade/later/a = 1\n",
		},
		{
			"a link replaced by a file and by a directory",
			[][]tar.Header{layer(file("x", "1"), symlink("a", "x"), symlink("b", "/c"), file("c/y", "1")), layer(file("a", "2"), dir("b"), file("b/z", "2"))},
			"a = 2\nb/\nb/z = 2\nc/\nc/y = 1\nx = 1\n",
		},
		{
			"a directory replaced by a link",
			[][]tar.Header{layer(dir("d/s"), file("d/s/x", "1"), dir("e")), layer(symlink("d", "e"), file("d/y", "2"))},
			"d -> e\ne/\ne/y = 2\n",
		},
		{
			"hard links, as tools write them",
			[][]tar.Header{layer(file("a", "1"), link("b", "a"), link("c", "/a"), link("d/e", "./a"), symlink("s", "a"), link("t", "s")), layer(link("f", "d/e"))},
			"a = 1\nb = 1\nc = 1\nd/\nd/e = 1\nf = 1\ns -> a\nt -> a\n",
		},
		{
			"devices and pipes are left out",
			[][]tar.Header{layer(device("dev/null", tar.TypeChar), device("dev/sda", tar.TypeBlock), device("pipe", tar.TypeFifo), file("a", "1"))},
			"a = 1\n",
		},
		{"no layer", nil, ""},
		{"an empty layer", [][]tar.Header{layer()}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for form, pack := range map[string]func(testing.TB, []byte) []byte{
				"tar": func(_ testing.TB, b []byte) []byte { return b }, "gzip": gzipped, "zstd": zstded,
			} {
				var layers [][]byte
				for _, entries := range tt.layers {
					layers = append(layers, pack(t, archive(t, entries...)))
				}
				root, around, err := unpack(t, roomy, layers...)
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				if got := listing(t, root); got != tt.want {
					t.Errorf("%s: got\n%swant\n%s", form, got, tt.want)
				}
				checkContained(t, around)
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	deep := strings.Repeat("d/", maxDepth+1)
	cut := archive(t, file("a", strings.Repeat("x", 5000)))[:3000]
	for _, tt := range []struct {
		name  string
		layer []byte
		class error
		says  string
	}{
		{"a name that climbs", archive(t, file("../a", "1")), ErrInvalid, `".."`},
		{"a name that climbs and comes back", archive(t, file("x/../../root/a", "1")), ErrInvalid, `".."`},
		{"an absolute name", archive(t, file("/etc/passwd", "1")), ErrInvalid, "absolute"},
		{"a long name", archive(t, file(strings.Repeat("x/", 1100)+"y", "1")), ErrInvalid, "bytes"},
		{"a deep name", archive(t, file(deep+"x", "1")), ErrInvalid, "too deep"},
		{"a depth made by links", archive(t, dir(strings.Repeat("d/", 100)), symlink("l", strings.Repeat("d/", 100)), dir("l/"+deep[:100])), ErrInvalid, "too deep"},
		{"a file as a directory", archive(t, file("a", "1"), file("a/b", "1")), ErrInvalid, "none for another"},
		{"links in a circle", archive(t, symlink("a", "b"), symlink("b", "a"), file("a/x", "1")), ErrInvalid, "too many symbolic links"},
		{"a link to itself", archive(t, symlink("a", "a/a"), file("a/x", "1")), ErrInvalid, "too many symbolic links"},
		{"links that grow", archive(t, symlink("a", strings.Repeat("a/", 900)), file("a/x", "1")), ErrInvalid, "too long"},
		{"a hard link out of the image", archive(t, link("a", "../../secret")), ErrInvalid, "hard link"},
		{"a hard link to a file of the host", archive(t, link("a", "/etc/passwd")), ErrInvalid, "not in the image"},
		{"a hard link through a link", archive(t, symlink("e", "/etc"), link("a", "e/passwd")), ErrInvalid, "not in the image"},
		{"a hard link to a directory", archive(t, dir("d"), link("a", "d")), ErrInvalid, "no file"},
		{"a hard link to the root", archive(t, link("a", "./")), ErrInvalid, "hard link"},
		{"a whiteout of the directory above", archive(t, file("d/.wh...", "")), ErrInvalid, "hides nothing"},
		{"a whiteout of nothing", archive(t, file("d/.wh.", "")), ErrInvalid, "hides nothing"},
		{"a root that is a link", archive(t, symlink("./", "/etc")), ErrInvalid, "root"},
		{"an entry of a kind of its own", retyped(archive(t, file("z", "")), 'Z'), ErrInvalid, "unknown type"},
		{"a tar that ends early", cut, ErrInvalid, "tar"},
		{"a gzip that ends early", gzipped(t, archive(t, file("a", "1")))[:40], ErrInvalid, "unexpected EOF"},
		{"a zstd that is damaged", append(zstded(t, archive(t, file("a", "1")))[:20], "damage, really"...), ErrInvalid, "unpacking it"},
		{"no tar", bytes.Repeat([]byte("no tar at all "), 100), ErrInvalid, "tar"},
		{"a gzip of no tar", gzipped(t, bytes.Repeat([]byte("no tar at all "), 100)), ErrInvalid, "tar"},
		{"a gzip with something behind it", append(gzipped(t, archive(t, file("a", "1"))), "behind"...), ErrInvalid, "unpacking it"},
		{"headers that never end", retyped(archive(t, file("x", strings.Repeat("x", 2<<20)), file("a", "1")), tar.TypeXHeader), ErrInvalid, "too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, around, err := unpack(t, roomy, tt.layer)
			if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v; want one of the class %q that says %q", err, tt.class, tt.says)
			}
			checkContained(t, around)
		})
	}
}

func TestUnpackBounds(t *testing.T) {
	zeros := make([]byte, 4<<20)
	many := make([]tar.Header, 101)
	for i := range many {
		many[i] = link("link", "a")
	}
	// This is a file of 1 EiB that is one hole.
	sparse := append(extended(t, "GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.name=hole", "GNU.sparse.size=1152921504606846976",
		"GNU.sparse.numblocks=1", "GNU.sparse.map=1152921504606846976,0"), archive(t, file("hole", ""))...)
	for _, tt := range []struct {
		name   string
		limits Limits
		layers [][]byte
		says   string
	}{
		{"one file", Limits{1 << 20, 100}, [][]byte{gzipped(t, archive(t, file("a", string(zeros))))}, "more than 1048576 bytes"},
		{"all layers together", Limits{9 << 20, 100}, [][]byte{gzipped(t, archive(t, file("a", string(zeros)))), zstded(t, archive(t, file("a", string(zeros)))), archive(t, file("a", string(zeros)))}, "more than"},
		{"what is behind the tar's end", Limits{1 << 20, 100}, [][]byte{gzipped(t, append(archive(t, file("a", "1")), zeros...))}, "more than is allowed"},
		{"a file with holes", roomy, [][]byte{sparse}, "bytes"},
		{"many entries", Limits{1 << 20, 100}, [][]byte{archive(t, append([]tar.Header{file("a", "1")}, many...)...)}, "more than 100 files"},
		{"many headers of no file", Limits{1 << 20, 2}, [][]byte{bytes.Repeat(archive(t, tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"a": "b"}})[:1024], 3)}, "more than 2 files"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, around, err := unpack(t, tt.limits, tt.layers...)
			if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v; want one that says %q", err, tt.says)
			}
			checkContained(t, around)
		})
	}
}

// TestUnpackBomb: a layer that becomes a thousand times larger is refused, even if the limits allow
// its size.
func TestUnpackBomb(t *testing.T) {
	layer := bomb(t, 2*ratioFrom)
	root, _, err := unpack(t, Limits{1 << 40, 100}, layer)
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "times its size") {
		t.Errorf("a layer of %d bytes: %v", len(layer), err)
	}
	if info, err := os.Stat(filepath.Join(root, "zeros")); err != nil || info.Size() > ratioFrom+1<<20 {
		t.Errorf("unpacked: %v, %v", info, err)
	}
	// A normal image may have this number of zeros.
	if root, _, err = unpack(t, roomy, bomb(t, 1<<20)); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(root, "zeros")); err != nil || info.Size() != 1<<20 {
		t.Errorf("unpacked: %v, %v", info, err)
	}
}

// docs/security.md: "owners, setuid bits and devices are left out."
func TestUnpackAttributes(t *testing.T) {
	hard := func(h tar.Header, mode int64) tar.Header { h.Mode = mode; return h }
	owned := file("owned", "1")
	owned.Uid, owned.Gid = 4242, 4242
	later := dir("d")
	later.ModTime = stamp.Add(time.Hour)
	root, _, err := unpack(t, roomy,
		archive(t, hard(file("none", "1"), 0), hard(file("setuid", "1"), 0o6755), hard(file("read", "1"), 0o444), owned,
			hard(dir("shut"), 0), file("shut/in", "1"), hard(dir("tmp"), 0o1777), dir("d"), file("d/x", "1")),
		archive(t, later, file("d/y", "1"), hard(file("none", "2"), 0o400)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{
		"none": 0o600, "setuid": 0o755, "read": 0o644, "owned": 0o644, "shut": fs.ModeDir | 0o700, "tmp": fs.ModeDir | 0o777, "d": fs.ModeDir | 0o755,
	} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		modTime := stamp
		if name == "d" {
			modTime = later.ModTime
		}
		if info.Mode() != want || !info.ModTime().Equal(modTime) {
			t.Errorf("%s has mode %v and time %v, want %v and %v", name, info.Mode(), info.ModTime(), want, modTime)
		}
	}
}

func TestUnpackChecksDigest(t *testing.T) {
	content := archive(t, file("a", "1"))
	at := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(at, gzipped(t, content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(t.Context(), t.TempDir(), []Layer{{Path: at, DiffID: digestOf(content)}}, roomy); err != nil {
		t.Error(err)
	}
	if err := Unpack(t.Context(), t.TempDir(), []Layer{{Path: at, DiffID: digestOf([]byte("other"))}}, roomy); !errors.Is(err, ErrDigest) {
		t.Errorf("error %v", err)
	}
}

func TestUnpackIsGivenUp(t *testing.T) {
	at := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(at, archive(t, file("a", "1")), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Unpack(ctx, t.TempDir(), []Layer{{Path: at}}, roomy); err != context.Canceled { //nolint:errorlint // the error must be unchanged
		t.Errorf("error %v", err)
	}
}
