package preview1

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// vecs makes n iovecs of size bytes each. All of them have the same memory.
func (c *caller) vecs(n, size int) (ptr, count uint64) {
	for i := range n {
		binary.LittleEndian.PutUint32(c.mem[addrVec+8*i:], addrData)
		binary.LittleEndian.PutUint32(c.mem[addrVec+8*i+4:], uint32(size))
	}
	return addrVec, uint64(n)
}

// Bounds of the host that package wasi does not export.
const (
	slowSize = 16 << 20
	maxPaths = 1 << 20
)

// killable is a guest with large files, directories and tables.
func killable(t *testing.T) *caller {
	t.Helper()
	root := t.TempDir()
	for i := range 2000 {
		testfiles.Write(t, filepath.Join(root, "many", fmt.Sprintf("%0100d", i)), "")
	}
	env := make([]string, 20_000)
	for i := range env {
		env[i] = "A="
	}
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}, Args: env, Env: env, Stdout: io.Discard})
	c.mem = make([]byte, 64<<20)
	return c
}

// TestKillIsSeenInEveryLongCall kills a guest in the middle of each call that may work long.
// docs/security.md: "any guest can be killed, spinning, sleeping or in a host call: each call looks
// for that within 10 ms of work"
func TestKillIsSeenInEveryLongCall(t *testing.T) {
	c := killable(t)
	fd := c.mustOpen("file", openCreate, readWrite, 0)
	c.want(nil, "fd_filestat_set_size", fd, 1<<40)
	dir := c.mustOpen("many", openDirectoryOnly, 0, 0)
	zeros := func(events, n uint64) []uint64 { return []uint64{events, 32 << 20, n, addrResult} }
	const subscriptions = 16 << 20
	for i := range maxSubscriptions {
		c.mem[subscriptions+i*subscriptionSize+8] = eventFDRead
		binary.LittleEndian.PutUint32(c.mem[subscriptions+i*subscriptionSize+16:], uint32(fd))
	}
	v, n := c.vecs(maxIovecs, 60<<10)
	for _, call := range []struct {
		name  string
		looks int // the least number of checks in the whole call
		args  []uint64
	}{
		{"poll_oneoff", 100, zeros(subscriptions, maxSubscriptions)},
		{"args_get", 4, []uint64{1 << 20, 2 << 20}},
		{"environ_get", 4, []uint64{1 << 20, 2 << 20}},
		{"random_get", 200, []uint64{0x100000, 60 << 20}},
		{"fd_allocate", 8, []uint64{fd, 0, 64 << 20}},
		{"fd_read", 60, []uint64{fd, v, n, addrResult}},
		{"fd_pread", 60, []uint64{fd, v, n, 0, addrResult}},
		{"fd_write", 1000, []uint64{1, v, n, addrResult}},
		{"fd_readdir", 20, []uint64{dir, 1 << 20, 16 << 20, 0, addrResult}},
	} {
		whole := c.killedAfter(1 << 30)
		c.want(nil, call.name, call.args...)
		if whole.looks < call.looks {
			t.Errorf("%s: %d looks, want %d", call.name, whole.looks, call.looks)
		}
		for _, after := range []int{0, whole.looks / 2} {
			ctx := c.killedAfter(after)
			c.want(wasi.ErrKilled, call.name, call.args...)
			if ctx.looks > after+1 {
				t.Errorf("%s goes on after the kill: %d looks, killed at %d", call.name, ctx.looks, after)
			}
		}
		c.vecs(maxIovecs, 60<<10) // other tests may have overwritten them
	}
}

// TestManySmallBuffers writes and reads a file with very small buffers, so that no system call
// moves its maximum.
func TestManySmallBuffers(t *testing.T) {
	c := killable(t)
	fd := c.mustOpen("file", openCreate, readWrite, 0)
	v, n := c.vecs(maxIovecs, 10)
	for _, name := range []string{"fd_write", "fd_pwrite"} {
		args := []uint64{fd, v, n, addrResult}
		if name == "fd_pwrite" {
			args = []uint64{fd, v, n, 0, addrResult}
		}
		c.killedAfter(1 << 20)
		c.want(nil, name, args...)
		if want := uint32(10 * maxIovecs); c.u32(addrResult) != want {
			t.Errorf("%s: %d bytes, want %d", name, c.u32(addrResult), want)
		}
	}
}

// TestSlowCallsOfTheKernel makes the system calls that take long for large files, with and without
// a kill.
// docs/security.md: "calls of the kernel that cannot be interrupted (a flush, freeing a large file)
// are made on a thread beside."
func TestSlowCallsOfTheKernel(t *testing.T) {
	for _, files := range []*wasi.Files{nil, wasi.NewFiles(1000), wasi.NewFiles(1)} {
		root := t.TempDir()
		c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}, Files: files})
		large := func(name string) {
			path := filepath.Join(root, name)
			testfiles.Write(t, path, "x")
			if err := os.Truncate(path, 2*slowSize); err != nil {
				t.Fatal(err)
			}
		}
		call := map[string]func() error{}
		large("sync")
		if files == nil || files.Free() > 1 { // a stock of one file has no files for calls on other threads
			fd := c.mustOpen("sync", 0, readWrite, 0)
			c.want(nil, "fd_filestat_set_size", fd, 1)
			c.want(nil, "fd_filestat_set_size", fd, 2*slowSize)
			call["shorten"] = func() error { return c.call("fd_filestat_set_size", fd, 2) }
			call["fd_sync"] = func() error { return c.call("fd_sync", fd) }
			call["fd_datasync"] = func() error { return c.call("fd_datasync", fd) }
		}
		call["fd_sync of a directory"] = func() error { return c.call("fd_sync", 3) }
		call["unlink"] = func() error { large("unlink"); return c.one("path_unlink_file", "unlink") }
		call["rename"] = func() error { large("to"); large("from"); return c.two("path_rename", "from", "to") }
		call["truncate"] = func() error {
			large("truncate")
			fd, err := c.open("truncate", openTruncate, readWrite, 0)
			if err == nil {
				err = c.call("fd_close", fd)
			}
			return err
		}
		for name, do := range call {
			c.ctx = killed()
			if err := do(); err != wasi.ErrKilled {
				t.Errorf("%s, killed: %v", name, err)
			}
			c.ctx = t.Context()
			if err := do(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, want := range map[string]int64{"to": 2 * slowSize, "truncate": 0, "unlink": -1, "from": -1} {
			size := int64(-1)
			if info, err := os.Stat(filepath.Join(root, name)); err == nil {
				size = info.Size()
			}
			if size != want {
				t.Errorf("%s has %d bytes, want %d", name, size, want)
			}
		}
		if files != nil && files.Free() < 1 {
			t.Errorf("%d files are left", files.Free())
		}
	}
}

// TestLargeFilesAreClosedBeside closes the last descriptor of files that were already removed.
func TestLargeFilesAreClosedBeside(t *testing.T) {
	files := wasi.NewFiles(100)
	root := t.TempDir()
	g, err := New(wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	c := &caller{t: t, g: g, mem: make([]byte, 1<<18), ctx: t.Context()}
	open := func() uint64 {
		fd := c.mustOpen("file", openCreate, readWrite, 0)
		c.want(nil, "fd_filestat_set_size", fd, 2*slowSize)
		if err := c.one("path_unlink_file", "file"); err != nil {
			t.Error(err)
		}
		return fd
	}
	c.want(nil, "fd_close", open())
	other := c.mustOpen("other", openCreate, readWrite, 0)
	c.want(nil, "fd_renumber", other, open())
	fd := open()
	c.ctx = killed()
	if err := c.call("fd_close", fd); err != nil && err != wasi.ErrKilled {
		t.Error(err)
	}
	c.want(ErrnoBadf, "fd_close", fd)
	c.ctx = t.Context()
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() { // until the files that are closed on other threads are free again
		free := files.Free()
		if free == 100 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of 100 files came back", free)
		}
	}
}

// TestOpenDirectoriesAreBounded opens directories with the longest paths.
func TestOpenDirectoriesAreBounded(t *testing.T) {
	root := t.TempDir()
	path := strings.Repeat(strings.Repeat("x", wasi.MaxName)+"/", 15)
	if err := os.MkdirAll(filepath.Join(root, path[:wasi.MaxPath/2]), 0o755); err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: root, Guest: "/"}}})
	path = path[:wasi.MaxPath/2]
	open, err := 0, error(nil)
	for ; err == nil && open < 1000; open++ {
		_, err = c.open(path, openDirectoryOnly, 0, 0)
	}
	if want := maxPaths / len(path); err != ErrnoNomem || open < want-1 || open > want+1 {
		t.Errorf("%d directories are open, then %v; want %d", open, err, want)
	}
	c.want(nil, "fd_close", 4)
	if _, err := c.open(path, openDirectoryOnly, 0, 0); err != nil {
		t.Errorf("after one was closed: %v", err)
	}
}

// TestListingInTurns lists two directories in turn. Both use the same memory for their listings.
func TestListingInTurns(t *testing.T) {
	c := killable(t)
	if err := c.one("path_create_directory", "few"); err != nil {
		t.Fatal(err)
	}
	many, few := c.mustOpen("many", openDirectoryOnly, 0, 0), c.mustOpen("few", openDirectoryOnly, 0, 0)
	seen, cookie := map[string]bool{}, uint64(0)
	for range 10_000 {
		c.want(nil, "fd_readdir", many, addrData, 500, cookie, addrResult)
		used := int(c.u32(addrResult))
		for b := c.mem[addrData : addrData+used]; len(b) >= direntSize+int(b[16]); {
			size := direntSize + int(b[16])
			seen[string(b[direntSize:size])] = true
			cookie = binary.LittleEndian.Uint64(b)
			if b = b[size:]; len(b) < direntSize {
				break
			}
		}
		if used < 500 {
			break
		}
		c.want(nil, "fd_readdir", few, 1<<20, 500, 0, addrResult)
	}
	if len(seen) != 2002 {
		t.Errorf("%d of 2002 entries are seen", len(seen))
	}
}

// TestPaceIsAsked counts how often a long call lets Pace make the guest wait.
func TestPaceIsAsked(t *testing.T) {
	asked := 0
	c := newCaller(t, wasi.Config{Pace: func(context.Context) { asked++ }})
	c.mem = make([]byte, 256<<20)
	took := processorTime(t, func() { c.want(nil, "random_get", 0, uint64(len(c.mem))) })
	if asked < 3 || asked > int(took/(5*time.Millisecond))*20+20 {
		t.Errorf("asked %d times in %v", asked, took)
	}
}
