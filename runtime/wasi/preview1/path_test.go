package preview1

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testnetwork"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// world is a guest with nested mounts, and with a secret outside of all mounts.
//
//	/            writable  dir/nested/file, links of all kinds, var/run -> ../run
//	/ro          read-only file, link -> /dir/nested/file
//	/ro/rw       writable  inner
//	/ro/made/v   writable  empty: /ro has no directory made
//	/etc/hosts   a file, writable
//	/var/run/s   writable  token: below a link of the root
func world(t testing.TB, listeners ...*net.TCPListener) (*caller, string) {
	t.Helper()
	base := t.TempDir()
	host := func(p string) string { return filepath.Join(base, p) }
	testfiles.Write(t, host("secret"), "secret")
	testfiles.Write(t, host("root/dir/nested/file"), "file")
	testfiles.Write(t, host("root/run/pid"), "pid")
	testfiles.Write(t, host("ro/file"), "ro")
	testfiles.Write(t, host("rw/inner"), "inner")
	testfiles.Write(t, host("s/token"), "token")
	testfiles.Write(t, host("v/empty"), "")
	testfiles.Write(t, host("hosts"), "hosts")
	for link, target := range map[string]string{
		"root/var/run":     "../run",
		"root/absolute":    "/dir/nested/file",
		"root/relative":    "dir/nested",
		"root/above":       "../../../../secret",
		"root/outside":     host("secret"),
		"root/into-mount":  "ro/rw/inner",
		"root/loop":        "loop",
		"root/dangling":    "made-later",
		"root/slashed":     "dir/nested/",
		"root/host-proc":   "/proc/self/root/etc",
		"root/root":        "/",
		"ro/link":          "/dir/nested/file",
		"ro/back":          "../dir/nested/file",
		"root/dir/upwards": "../ro/file",
	} {
		testfiles.Symlink(t, target, host(link))
	}
	c := newCaller(t, wasi.Config{Network: testnetwork.Sealed(t)(), Listeners: listeners, Mounts: []wasi.Mount{
		{Host: host("s"), Guest: "/var/run/s"},
		{Host: host("hosts"), Guest: "/etc/hosts"},
		{Host: host("rw"), Guest: "/ro/rw"},
		{Host: host("v"), Guest: "/ro/made/v"},
		{Host: host("ro"), Guest: "/ro", ReadOnly: true},
		{Host: host("root"), Guest: "/"},
	}})
	return c, base
}

func TestWalk(t *testing.T) {
	c, _ := world(t)
	for _, w := range []struct {
		path string
		text string
		err  error
	}{
		{path: "dir/nested/file", text: "file"},
		{path: "dir//nested/.//file", text: "file"},
		{path: "dir/../dir/nested/../nested/file", text: "file"},
		{path: "../../dir/nested/file", text: "file"}, // the root's parent is the root
		{path: "absolute", text: "file"},
		{path: "relative/file", text: "file"},
		{path: "slashed/file", text: "file"},
		{path: "root/root/root/dir/nested/file", text: "file"},
		{path: "into-mount", text: "inner"},
		{path: "dir/upwards", text: "ro"},
		{path: "ro/file", text: "ro"},
		{path: "ro/link", text: "file"},
		{path: "ro/back", text: "file"},
		{path: "ro/rw/../file", text: "ro"},
		{path: "ro/rw/../../ro/rw/inner", text: "inner"},
		{path: "etc/hosts", text: "hosts"},
		{path: "etc/../etc/hosts", text: "hosts"},
		{path: "ro/made/v/empty", text: ""},
		{path: "ro/made/../file", text: "ro"},
		{path: "ro/made/nothing", err: ErrnoNoent},
		{path: "var/run/pid", text: "pid"},
		{path: "var/run/s/token", text: "token"},
		{path: "run/s/token", text: "token"}, // the position of the mount after links are resolved
		{path: "", err: ErrnoNoent},
		{path: "nothing", err: ErrnoNoent},
		{path: "nothing/more", err: ErrnoNoent},
		{path: "dangling", err: ErrnoNoent},
		{path: "loop", err: ErrnoLoop},
		{path: "above", err: ErrnoNoent},
		{path: "outside", err: ErrnoNoent},
		{path: "host-proc/passwd", err: ErrnoNoent},
		{path: "/dir/nested/file", err: ErrnoPerm},
		{path: "dir/nested/file/", err: ErrnoNotdir},
		{path: "dir/nested/file/x", err: ErrnoNotdir},
		{path: "dir/nested/file/..", err: ErrnoNotdir},
		{path: "etc/hosts/x", err: ErrnoNotdir},
		{path: "absolute/", err: ErrnoNotdir},
		{path: "dir\x00", err: ErrnoInval},
		{path: "\xff\xfe", err: ErrnoIlseq},
		{path: strings.Repeat("x", 300), err: ErrnoNametoolong},
		{path: strings.Repeat("d/", 2000) + strings.Repeat("x/", 200), err: ErrnoNametoolong},
	} {
		text, err := c.content(w.path)
		if text != w.text || err != w.err {
			t.Errorf("%.40q: %q, %v, want %q, %v", w.path, text, err, w.text, w.err)
		}
	}
}

func TestWalkFromADirectory(t *testing.T) {
	c, _ := world(t)
	dir := c.mustOpen("dir", openDirectoryOnly, 0, 0)
	open := func(path string) error {
		p, n := c.put(addrPath, path)
		return c.call("path_open", dir, lookupFollow, p, n, 0, rightFDRead, 0, 0, addrResult)
	}
	for path, want := range map[string]error{
		"nested/file":           nil,
		"nested/../nested/file": nil,
		"upwards":               nil, // a link may lead anywhere inside the guest's files
		"..":                    ErrnoPerm,
		"../ro/file":            ErrnoPerm,
		"nested/../../ro/file":  ErrnoPerm,
	} {
		if err := open(path); err != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	// An open directory stays the same directory when it is moved.
	p, n := c.put(addrPath, "dir")
	q, m := c.put(addrPath2, "moved")
	c.want(nil, "path_rename", 3, p, n, 3, q, m)
	if err := open("nested/file"); err != nil {
		t.Errorf("after a move: %v", err)
	}
	c.want(nil, "fd_filestat_get", dir, 0)
	c.want(nil, "fd_sync", dir)
	p, n = c.put(addrPath, "x")
	file := c.mustOpen("moved/nested/file", 0, rightFDRead, 0)
	c.want(ErrnoNotdir, "path_open", file, 0, p, n, 0, 0, 0, 0, addrResult)
	v, k := c.vec(1)
	for _, name := range []string{"fd_read", "fd_write"} {
		c.want(ErrnoBadf, name, dir, v, k, addrResult)
	}
	c.want(ErrnoBadf, "fd_seek", dir, 0, 0, 8)
	c.want(ErrnoBadf, "fd_tell", dir, 8)
	c.want(ErrnoBadf, "fd_allocate", dir, 0, 1)
	c.want(ErrnoBadf, "fd_advise", dir, 0, 0, 0)
}

func TestOpening(t *testing.T) {
	c, base := world(t)
	for _, o := range []struct {
		path   string
		follow uint64
		oflags uint64
		rights uint64
		want   error
	}{
		{"absolute", 0, 0, rightFDRead, ErrnoLoop},
		{"relative", 0, openDirectoryOnly, 0, ErrnoLoop},
		{"relative/", 0, openDirectoryOnly, 0, nil},
		{"dir/nested/file", 0, openDirectoryOnly, 0, ErrnoNotdir},
		{"dir", 0, 0, rightFDRead, nil},
		{"dir", 0, 0, readWrite, ErrnoIsdir},
		{"dir", 0, openCreate, rightFDRead, ErrnoIsdir},
		{"dir", 0, openTruncate, rightFDRead, ErrnoIsdir},
		{"dir/nested/file", 0, openCreate | openExclusive, readWrite, ErrnoExist},
		{"dangling", 1, openCreate | openExclusive, readWrite, ErrnoExist},
		{"dangling", 1, openCreate, readWrite, nil},
		{"made-later", 0, 0, rightFDRead, nil},
		{"new/", 0, openCreate, readWrite, ErrnoIsdir},
		{"new", 0, openCreate | openDirectoryOnly, readWrite, ErrnoInval},
		{"new", 0, 1 << 8, readWrite, ErrnoInval},
		{"nothing/new", 0, openCreate, readWrite, ErrnoNoent},
		{"ro/file", 0, 0, readWrite, ErrnoRofs},
		{"ro/file", 0, openTruncate, rightFDRead, ErrnoRofs},
		{"ro/file", 0, openCreate, rightFDRead, nil},
		{"ro/new", 0, openCreate, rightFDRead, ErrnoRofs},
		{"ro/rw/new", 0, openCreate, readWrite, nil},
		{"etc", 0, openDirectoryOnly, 0, nil},
		{"etc/new", 0, openCreate, readWrite, nil}, // the root had no etc before hosts was mounted there
		{"ro/made", 0, openDirectoryOnly, 0, nil},
		{"ro/made/new", 0, openCreate, readWrite, ErrnoRofs},
		{"etc/hosts", 0, 0, readWrite, nil},
		{".", 0, openDirectoryOnly, 0, nil},
	} {
		p, n := c.put(addrPath, o.path)
		err := c.call("path_open", 3, o.follow, p, n, o.oflags, o.rights, 0, 0, addrResult)
		if err != o.want {
			t.Errorf("%s with flags %d, rights %b: %v, want %v", o.path, o.oflags, o.rights, err, o.want)
		}
	}
	if _, err := os.Stat(filepath.Join(base, "root/made-later")); err != nil {
		t.Errorf("what the link names was not made: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(base, "ro/file")); err != nil || string(b) != "ro" {
		t.Errorf("the read-only file holds %q", b)
	}
}

// one calls a function whose arguments are a directory and a path.
func (c *caller) one(name, path string) error {
	p, n := c.put(addrPath, path)
	return c.call(name, 3, p, n)
}

func (c *caller) two(name, from, to string) error {
	p, n := c.put(addrPath, from)
	q, m := c.put(addrPath2, to)
	switch name {
	case "path_link":
		return c.call(name, 3, 0, p, n, 3, q, m)
	case "path_symlink":
		return c.call(name, p, n, 3, q, m)
	}
	return c.call(name, 3, p, n, 3, q, m)
}

func TestChangingDirectories(t *testing.T) {
	c, _ := world(t)
	for _, o := range []struct {
		name, from, to string
		want           error
	}{
		{"path_create_directory", "new", "", nil},
		{"path_create_directory", "new", "", ErrnoExist},
		{"path_create_directory", "new/sub/", "", nil},
		{"path_create_directory", "absolute", "", ErrnoExist},
		{"path_create_directory", "etc", "", ErrnoExist},
		{"path_create_directory", "ro/new", "", ErrnoRofs},
		{"path_create_directory", "nothing/new", "", ErrnoNoent},
		{"path_unlink_file", "new", "", ErrnoIsdir},
		{"path_unlink_file", "new/", "", ErrnoIsdir},
		{"path_unlink_file", "dir/nested/file/", "", ErrnoNotdir},
		{"path_unlink_file", "nothing", "", ErrnoNoent},
		{"path_unlink_file", "ro/file", "", ErrnoRofs},
		{"path_unlink_file", "etc/hosts", "", ErrnoBusy},
		{"path_unlink_file", "loop", "", nil},
		{"path_remove_directory", "new", "", ErrnoNotempty},
		{"path_remove_directory", "dir/nested/file", "", ErrnoNotdir},
		{"path_remove_directory", "dir/nested/file/", "", ErrnoNotdir},
		{"path_remove_directory", "nothing", "", ErrnoNoent},
		{"path_remove_directory", "ro", "", ErrnoBusy},
		{"path_remove_directory", "ro/rw", "", ErrnoBusy},
		{"path_create_directory", "ro/made/x", "", ErrnoRofs},
		{"path_remove_directory", "etc", "", ErrnoBusy},
		{"path_remove_directory", "ro/made", "", ErrnoBusy},
		{"path_remove_directory", "run", "", ErrnoBusy}, // there is a mount point in it
		{"path_remove_directory", "new/sub/.", "", ErrnoInval},
		{"path_remove_directory", ".", "", ErrnoInval},
		{"path_remove_directory", "new/sub/", "", nil},
		{"path_remove_directory", "new", "", nil},
		{"path_rename", "dir/nested/file", "file", nil},
		{"path_rename", "file", "dir/nested", ErrnoIsdir},
		{"path_rename", "dir", "file", ErrnoNotdir},
		{"path_rename", "dir", "dir/nested/dir", ErrnoInval},
		{"path_rename", "file", "new/", ErrnoNotdir},
		{"path_rename", "nothing", "x", ErrnoNoent},
		{"path_rename", "file", "ro/rw/file", ErrnoXdev},
		{"path_rename", "file", "etc/hosts", ErrnoBusy},
		{"path_rename", "ro/file", "ro/file2", ErrnoRofs},
		{"path_rename", "ro/rw", "x", ErrnoBusy},
		{"path_rename", "run", "x", ErrnoBusy},
		{"path_rename", "dir/nested/..", "x", ErrnoInval},
		{"path_rename", "dir/", "directory/", nil},
		{"path_rename", "absolute", "absolute2", nil}, // the link itself
		{"path_link", "file", "file2", nil},
		{"path_link", "file", "file2", ErrnoExist},
		{"path_link", "file", "file3/", ErrnoNoent},
		{"path_link", "directory", "d2", ErrnoPerm},
		{"path_link", "nothing", "x", ErrnoNoent},
		{"path_link", "file", "ro/rw/file", ErrnoXdev},
		{"path_link", "ro/file", "ro/file2", ErrnoRofs},
		{"path_link", "etc/hosts", "stolen", ErrnoXdev},
		{"path_symlink", "file", "link", nil},
		{"path_symlink", "file", "link", ErrnoExist},
		{"path_symlink", "file", "link2/", ErrnoNoent},
		{"path_symlink", "", "link2", ErrnoNoent},
		{"path_symlink", "file", "ro/link2", ErrnoRofs},
		{"path_symlink", "directory/nested", "directory/a", nil},
		{"path_symlink", "/directory/nested", "directory/b", ErrnoPerm},
	} {
		var err error
		if o.to == "" {
			err = c.one(o.name, o.from)
		} else {
			err = c.two(o.name, o.from, o.to)
		}
		if err != o.want {
			t.Errorf("%s %s %s: %v, want %v", o.name, o.from, o.to, err, o.want)
		}
	}
}

func TestReadlink(t *testing.T) {
	c, _ := world(t)
	read := func(path string, size uint64) (string, error) {
		p, n := c.put(addrPath, path)
		err := c.call("path_readlink", 3, p, n, addrData, size, addrResult)
		return string(c.mem[addrData : addrData+c.u32(addrResult)]), err
	}
	if got, err := read("absolute", 100); got != "/dir/nested/file" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := read("absolute", 4); got != "/dir" || err != nil {
		t.Errorf("cut: %q, %v", got, err)
	}
	for path, want := range map[string]error{"dir": ErrnoInval, "nothing": ErrnoNoent, "etc": ErrnoInval} {
		if _, err := read(path, 100); err != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

func TestAttributesByPath(t *testing.T) {
	c, base := world(t)
	stat := func(path string, follow uint64) (filetype, error) {
		p, n := c.put(addrPath, path)
		err := c.call("path_filestat_get", 3, follow, p, n, addrData)
		return filetype(c.mem[addrData+16]), err
	}
	for _, s := range []struct {
		path   string
		follow uint64
		kind   filetype
	}{
		{"dir", 0, typeDirectory}, {"absolute", 0, typeSymbolicLink}, {"absolute", 1, typeRegularFile},
		{"etc", 0, typeDirectory}, {"etc/hosts", 0, typeRegularFile}, {"ro/rw", 0, typeDirectory}, {".", 0, typeDirectory},
	} {
		if kind, err := stat(s.path, s.follow); kind != s.kind || err != nil {
			t.Errorf("%s: type %d, %v", s.path, kind, err)
		}
	}
	if _, err := stat("nothing", 0); err != ErrnoNoent {
		t.Errorf("nothing: %v", err)
	}
	set := func(path string, follow uint64) error {
		p, n := c.put(addrPath, path)
		return c.call("path_filestat_set_times", 3, follow, p, n, 5e9, 6e9, setAtim|setMtim)
	}
	for path, want := range map[string]error{"dir/nested/file": nil, "ro/file": ErrnoRofs, "ro/made": ErrnoRofs, "etc/hosts": nil, "etc": nil, "ro/rw": nil, "nothing": ErrnoNoent, ".": nil} {
		if err := set(path, 0); err != want {
			t.Errorf("set times of %s: %v, want %v", path, err, want)
		}
	}
	if err := set("above", 0); err != nil {
		t.Errorf("set times of a link: %v", err)
	}
	for _, p := range []string{"root/dir/nested/file", "hosts", "rw", "root"} {
		if info, err := os.Stat(filepath.Join(base, p)); err != nil || info.ModTime().Unix() != 6 {
			t.Errorf("%s: %v, %v", p, info.ModTime(), err)
		}
	}
}

// list reads a directory with a buffer of this size, starting at the cookie.
func (c *caller) list(fd uint64, size int, cookie uint64) (names []string, cookies []uint64) {
	c.t.Helper()
	for range 10_000 {
		c.want(nil, "fd_readdir", fd, addrData, uint64(size), cookie, addrResult)
		used := int(c.u32(addrResult))
		b := c.mem[addrData : addrData+used]
		for len(b) >= direntSize {
			n := int(binary.LittleEndian.Uint32(b[16:]))
			if len(b) < direntSize+n {
				break
			}
			cookie = binary.LittleEndian.Uint64(b)
			names = append(names, fmt.Sprintf("%s:%d", b[direntSize:direntSize+n], b[20]))
			cookies = append(cookies, cookie)
			b = b[direntSize+n:]
		}
		if used < size {
			return names, cookies
		}
	}
	c.t.Fatal("the directory has no end")
	return nil, nil
}

func TestReaddir(t *testing.T) {
	c, _ := world(t)
	fd := c.mustOpen("ro", openDirectoryOnly, 0, 0)
	want := []string{"..:3", ".:3", "back:7", "file:4", "link:7", "made:3", "rw:3"}
	all, cookies := c.list(fd, 4096, 0)
	for i, cookie := range cookies { // each cookie continues after its entry, in any order
		rest, _ := c.list(fd, 4096, cookie)
		if !slices.Equal(rest, all[i+1:]) {
			t.Errorf("behind %s: %v, want %v", all[i], rest, all[i+1:])
		}
	}
	small, _ := c.list(fd, 64, 0)
	slices.Sort(all)
	slices.Sort(small)
	if !slices.Equal(all, want) || !slices.Equal(small, want) {
		t.Errorf("%v and %v, want %v", all, small, want)
	}
	if names, _ := c.list(c.mustOpen("ro/made", openDirectoryOnly, 0, 0), 4096, 0); !slices.Equal(names, []string{"v:3"}) {
		t.Errorf("a directory that only mounts make: %v", names)
	}
	root, _ := c.list(3, 4096, 0)
	for _, name := range []string{"dir:3", "etc:3", "ro:3", "absolute:7"} {
		if !slices.Contains(root, name) {
			t.Errorf("the root has %v, not %s", root, name)
		}
	}
	file := c.mustOpen("dir/nested/file", 0, rightFDRead, 0)
	c.want(ErrnoBadf, "fd_readdir", file, addrData, 100, 0, addrResult)
	c.want(ErrnoFault, "fd_readdir", 3, addrData, 1<<31, 0, addrResult)
}
