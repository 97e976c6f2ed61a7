package p2

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// TestPaths has paths that lead out, do not exist, or are not allowed.
func TestPaths(t *testing.T) {
	outer := t.TempDir()
	testfiles.Write(t, filepath.Join(outer, "secret"), "secret")
	testfiles.Write(t, filepath.Join(outer, "root/dir/file"), "file")
	for link, to := range map[string]string{"out": "../secret", "host": filepath.Join(outer, "secret"), "loop": "loop", "link": "dir/file"} {
		testfiles.Symlink(t, to, filepath.Join(outer, "root", link))
	}
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: filepath.Join(outer, "root"), Guest: "/"}}})
	const follow = bindings.PathFlagsSymlinkFollow
	for _, test := range []struct {
		path string
		how  bindings.PathFlags
		want error
	}{
		{"dir/file", 0, nil},
		{"link", follow, nil},
		{"link", 0, bindings.FilesystemErrorCodeLoop},
		{"dir/../dir/./file", 0, nil},
		{"", 0, bindings.FilesystemErrorCodeNoEntry},
		{"missing", 0, bindings.FilesystemErrorCodeNoEntry},
		{"dir/file/", 0, bindings.FilesystemErrorCodeNotDirectory},
		{"dir/file/x", 0, bindings.FilesystemErrorCodeNotDirectory},
		{"../secret", 0, bindings.FilesystemErrorCodeNotPermitted},
		{"dir/../../secret", 0, bindings.FilesystemErrorCodeNotPermitted},
		{"/dir/file", 0, bindings.FilesystemErrorCodeNotPermitted},
		{"out", follow, bindings.FilesystemErrorCodeNotPermitted},
		{"host", follow, bindings.FilesystemErrorCodeNoEntry},
		{"loop", follow, bindings.FilesystemErrorCodeLoop},
		{"dir\x00/file", 0, bindings.FilesystemErrorCodeInvalid},
		{"\x00", 0, bindings.FilesystemErrorCodeInvalid},
		{strings.Repeat("n", 256), 0, bindings.FilesystemErrorCodeNameTooLong},
		{strings.Repeat("n/", wasi.MaxPath/2), 0, bindings.FilesystemErrorCodeNameTooLong},
		{strings.Repeat("n", 64<<20), 0, bindings.FilesystemErrorCodeNameTooLong},
	} {
		d, err := c.root().OpenAt(c.ctx, test.how, test.path, 0, readFlag)
		c.want(fmt.Sprintf("open-at %.30q", test.path), err, test.want)
		if err == nil {
			d.Drop()
		}
	}
	_, err := c.open("dir", bindings.OpenFlagsCreate|bindings.OpenFlagsDirectory, readFlag)
	c.want("create of a directory", err, bindings.FilesystemErrorCodeInvalid)
	_, err = c.open("dir/file", bindings.OpenFlagsCreate|bindings.OpenFlagsExclusive, writeFlag)
	c.want("exclusive", err, bindings.FilesystemErrorCodeExist)
	_, err = c.open("dir/file", bindings.OpenFlagsDirectory, readFlag)
	c.want("a file as a directory", err, bindings.FilesystemErrorCodeNotDirectory)
	_, err = c.open("dir", 0, readFlag|writeFlag)
	c.want("write of a directory", err, bindings.FilesystemErrorCodeIsDirectory)
	c.mustOpen("dir/file", bindings.OpenFlagsTruncate, writeFlag|bindings.DescriptorFlagsFileIntegritySync|bindings.DescriptorFlagsDataIntegritySync)
	if got := c.content("dir/file"); got != "" {
		t.Errorf("a truncated file has %q", got)
	}
}

// TestEntriesOfDirectories makes, moves, links and removes entries.
func TestEntriesOfDirectories(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	root := c.root()
	c.want("create-directory-at", root.CreateDirectoryAt(c.ctx, "d"), nil)
	c.want("create-directory-at, again", root.CreateDirectoryAt(c.ctx, "d/"), bindings.FilesystemErrorCodeExist)
	d := c.mustOpen("d", bindings.OpenFlagsDirectory, readFlag)
	if flags, err := d.GetFlags(c.ctx); flags != readFlag || err != nil {
		t.Errorf("get-flags: %b, %v", flags, err)
	}
	f := must[bindings.Descriptor](t)(d.OpenAt(c.ctx, 0, "f", bindings.OpenFlagsCreate, writeFlag))
	_, err := f.Write(c.ctx, []byte("text"), 0)
	c.want("write", err, nil)
	c.want("link-at", root.LinkAt(c.ctx, 0, "d/f", d, "g"), nil)
	c.want("rename-at", d.RenameAt(c.ctx, "g", root, "h"), nil)
	c.want("symlink-at", root.SymlinkAt(c.ctx, "d/f", "s"), nil)
	c.want("symlink-at, absolute", root.SymlinkAt(c.ctx, "/d/f", "a"), bindings.FilesystemErrorCodeNotPermitted)
	c.want("symlink-at, empty", root.SymlinkAt(c.ctx, "", "a"), bindings.FilesystemErrorCodeNoEntry)
	c.want("symlink-at, zero", root.SymlinkAt(c.ctx, "a\x00", "a"), bindings.FilesystemErrorCodeInvalid)
	if to, err := root.ReadlinkAt(c.ctx, "s"); to != "d/f" || err != nil {
		t.Errorf("readlink-at: %q, %v", to, err)
	}
	_, err = root.ReadlinkAt(c.ctx, "h")
	c.want("readlink-at of a file", err, bindings.FilesystemErrorCodeInvalid)
	if got := c.content("h"); got != "text" {
		t.Errorf("the moved file has %q", got)
	}
	c.want("unlink-file-at of a directory", root.UnlinkFileAt(c.ctx, "d"), bindings.FilesystemErrorCodeIsDirectory)
	c.want("remove-directory-at, not empty", root.RemoveDirectoryAt(c.ctx, "d"), bindings.FilesystemErrorCodeNotEmpty)
	c.want("remove-directory-at of a file", root.RemoveDirectoryAt(c.ctx, "h"), bindings.FilesystemErrorCodeNotDirectory)
	c.want("unlink-file-at", d.UnlinkFileAt(c.ctx, "f"), nil)
	c.want("unlink-file-at above", d.UnlinkFileAt(c.ctx, "../h"), bindings.FilesystemErrorCodeNotPermitted)
	c.want("rename-at above", d.RenameAt(c.ctx, "../h", d, "h"), bindings.FilesystemErrorCodeNotPermitted)
	c.want("remove-directory-at", root.RemoveDirectoryAt(c.ctx, "d"), nil)
	for what, err := range map[string]error{
		"create-directory-at": f.CreateDirectoryAt(c.ctx, "x"), "remove-directory-at": f.RemoveDirectoryAt(c.ctx, "x"),
		"unlink-file-at": f.UnlinkFileAt(c.ctx, "x"), "symlink-at": f.SymlinkAt(c.ctx, "x", "x"),
		"link-at": f.LinkAt(c.ctx, 0, "x", root, "x"), "link-at to": root.LinkAt(c.ctx, 0, "h", f, "x"), "rename-at": f.RenameAt(c.ctx, "x", root, "x"),
		"set-times-at": f.SetTimesAt(c.ctx, 0, "x", bindings.NewTimestamp{}, bindings.NewTimestamp{}),
	} {
		c.want(what+" of a file", err, bindings.FilesystemErrorCodeNotDirectory)
	}
}

// names reads a stream of entries to its end.
func (c *caller) names(s bindings.DirectoryEntryStream) (names []string, errs int) {
	for range 10_000 {
		switch e, err := s.ReadDirectoryEntry(c.ctx); {
		case err != nil:
			c.want("read-directory-entry", err, bindings.FilesystemErrorCodeIllegalByteSequence)
			errs++
		case !e.Is:
			slices.Sort(names)
			return names, errs
		default:
			names = append(names, fmt.Sprintf("%s %d", e.Value.Name, e.Value.Type))
		}
	}
	c.t.Error("the stream of entries does not end")
	return names, errs
}

// TestLists lists a directory with mounts, more entries than one system call returns, and a name
// that is not UTF-8.
func TestLists(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	var want []string
	for i := range 1000 {
		name := fmt.Sprintf("file-%04d", i)
		testfiles.Write(t, filepath.Join(dir, name), "")
		want = append(want, fmt.Sprintf("%s %d", name, bindings.DescriptorTypeRegularFile))
	}
	want = append(want, fmt.Sprintf("mount %d", bindings.DescriptorTypeDirectory))
	testfiles.Write(t, filepath.Join(dir, "not-\xff-utf8"), "")
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}, {Host: other, Guest: "/mount", ReadOnly: true}}})
	root := c.root()
	a := must[bindings.DirectoryEntryStream](t)(root.ReadDirectory(c.ctx))
	b := must[bindings.DirectoryEntryStream](t)(root.ReadDirectory(c.ctx))
	for range 500 { // both streams in turn
		e, err := a.ReadDirectoryEntry(c.ctx)
		f, other := b.ReadDirectoryEntry(c.ctx)
		if e != f || (err == nil) != (other == nil) || !e.Is && err == nil {
			t.Fatalf("the streams have %v, %v and %v, %v", e, err, f, other)
		}
	}
	got, errs := c.names(must[bindings.DirectoryEntryStream](t)(root.ReadDirectory(c.ctx)))
	if errs != 1 || !slices.Equal(got, want) {
		t.Errorf("the directory has %d entries and %d errors, want %d and 1", len(got), errs, len(want))
	}
}

// TestReadOnlyMounts has every change refused.
func TestReadOnlyMounts(t *testing.T) {
	dir, ro := t.TempDir(), t.TempDir()
	testfiles.Write(t, filepath.Join(ro, "f"), "text")
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}, {Host: ro, Guest: "/ro", ReadOnly: true}}})
	const refused = bindings.FilesystemErrorCodeReadOnly
	d := c.mustOpen("ro", bindings.OpenFlagsDirectory, readFlag|bindings.DescriptorFlagsMutateDirectory)
	if flags, err := d.GetFlags(c.ctx); flags != readFlag || err != nil {
		t.Errorf("get-flags: %b, %v, want read", flags, err)
	}
	for path, open := range map[string]bindings.OpenFlags{"f": 0, "new": bindings.OpenFlagsCreate} {
		_, err := d.OpenAt(c.ctx, 0, path, open, readFlag|writeFlag)
		c.want("open-at "+path, err, refused)
	}
	_, err := d.OpenAt(c.ctx, 0, "f", bindings.OpenFlagsTruncate, readFlag)
	c.want("truncate", err, refused)
	f := c.mustOpen("ro/f", 0, readFlag)
	now := bindings.NewTimestamp{Case: bindings.NewTimestampNow}
	for what, err := range map[string]error{
		"set-times": f.SetTimes(c.ctx, now, now), "set-times-at": d.SetTimesAt(c.ctx, 0, "f", now, now),
		"set-times of the directory": d.SetTimes(c.ctx, now, now),
		"create-directory-at":        d.CreateDirectoryAt(c.ctx, "x"), "unlink-file-at": d.UnlinkFileAt(c.ctx, "f"),
		"symlink-at": d.SymlinkAt(c.ctx, "f", "x"), "link-at": d.LinkAt(c.ctx, 0, "f", d, "x"),
		"rename-at": d.RenameAt(c.ctx, "f", d, "x"),
	} {
		c.want(what, err, refused)
	}
	if b, err := os.ReadFile(filepath.Join(ro, "f")); string(b) != "text" || err != nil {
		t.Errorf("the file has %q, %v", b, err)
	}
}
