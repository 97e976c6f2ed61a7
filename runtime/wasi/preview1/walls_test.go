package preview1

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Tests for faults that other hosts of WASI had, with the same calls (docs/security-advisories.md).

// TestEntriesHaveNoHolesOfTheHost: the host sets every byte of the entries that it gives a guest,
// whatever the memory contained before. So they never show the host's memory (GHSA-96f6 and similar
// ones).
func TestEntriesHaveNoHolesOfTheHost(t *testing.T) {
	c, _ := world(t)
	fd := c.mustOpen("ro", openDirectoryOnly, 0, 0)
	listing := func(before byte) []byte {
		copy(c.mem[addrData:], bytes.Repeat([]byte{before}, 4096))
		c.want(nil, "fd_readdir", fd, addrData, 4096, 0, addrResult)
		return bytes.Clone(c.mem[addrData : addrData+c.u32(addrResult)])
	}
	if a, b := listing(0x00), listing(0xff); len(a) < 7*direntSize || !bytes.Equal(a, b) {
		t.Errorf("the same directory twice:\n%x\n%x", a, b)
	}
	c.want(nil, "fd_filestat_get", fd, addrData)
	first := bytes.Clone(c.mem[addrData : addrData+64])
	copy(c.mem[addrData:], bytes.Repeat([]byte{0xff}, 64))
	c.want(nil, "fd_filestat_get", fd, addrData)
	if !bytes.Equal(first, c.mem[addrData:addrData+64]) {
		t.Errorf("the same file twice:\n%x\n%x", first, c.mem[addrData:addrData+64])
	}
}

// TestExtremeTimes: times that no file system supports do not crash the host (GHSA-j2g9,
// GHSA-mr2v).
func TestExtremeTimes(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	fd := c.mustOpen("file", openCreate, readWrite, 0)
	p, n := c.put(addrPath, "file")
	for _, at := range []uint64{0, 1, 1<<63 - 1, 1 << 63, math.MaxUint64} {
		for _, err := range []error{
			c.call("fd_filestat_set_times", fd, at, at, setAtim|setMtim),
			c.call("path_filestat_set_times", 3, 0, p, n, at, at, setAtim|setMtim),
		} {
			if _, is := err.(Errno); err != nil && !is {
				t.Errorf("%d: %v", at, err)
			}
		}
		c.want(nil, "fd_filestat_get", fd, 64)
	}
}

// TestRenamesOfLinksWithSlashes: a rename fails if its source is a symbolic link with slashes after
// its name, or if its target is such a name (GHSA-m9f7, GHSA-vqjp).
func TestRenamesOfLinksWithSlashes(t *testing.T) {
	outside := t.TempDir()
	if err := os.Mkdir(filepath.Join(outside, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for link, target := range map[string]string{"up": outside, "dir": filepath.Join(outside, "dir"), "dots": "../../../../../../../.." + outside} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "own"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}})
	for _, link := range []string{"up", "dir", "dots"} {
		for _, slashes := range []string{"/", "//", "/.", "/dir", "/dir/"} {
			_ = c.two("path_rename", link+slashes, "moved")
			_ = c.two("path_rename", "own", link+slashes)
			_ = c.two("path_link", link+slashes, "linked")
			_ = c.one("path_unlink_file", link+slashes)
			_ = c.one("path_remove_directory", link+slashes)
			_ = c.one("path_create_directory", link+slashes)
			if _, err := c.open(link+slashes, openDirectoryOnly, 0, 0); err == nil {
				t.Errorf("%s%s can be opened", link, slashes)
			}
		}
	}
	left, err := os.ReadDir(outside)
	if err != nil || len(left) != 1 || left[0].Name() != "dir" || !left[0].IsDir() {
		t.Errorf("outside of the mount there is now %v, %v", left, err)
	}
	if inner, err := os.ReadDir(filepath.Join(outside, "dir")); err != nil || len(inner) != 0 {
		t.Errorf("outside of the mount there is now dir/%v, %v", inner, err)
	}
}

// TestOnlyANetworkConnects: without a network a guest can make no socket, by none of the functions
// that make one.
func TestOnlyANetworkConnects(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	for _, f := range Functions() {
		if !strings.HasPrefix(f.Name, "sock_") {
			continue
		}
		if err := c.call(f.Name, make([]uint64, len(f.Params))...); err == nil {
			t.Errorf("%s works without a socket", f.Name)
		}
		if strings.Contains(f.Name, "open") {
			c.want(ErrnoAcces, f.Name, familyIPv4, socketStream, addrResult)
			c.want(ErrnoAcces, f.Name, familyIPv6, socketDatagram, addrResult)
		}
	}
	if _, err := c.resolve("name", "80", familyAny, 1, dataIPv6); err != ErrnoAcces {
		t.Errorf("a lookup: %v", err)
	}
}
