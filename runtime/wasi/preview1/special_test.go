package preview1

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
	_ "unsafe" // for hasOpenat2

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// hasOpenat2 is the host's variable.
//
//go:linkname hasOpenat2 github.com/krustlet-go/krustlet-wasi/runtime/wasi.hasOpenat2
var hasOpenat2 func() bool

// everyWay runs a test with and without openat2. An old kernel or a filter may not have it.
func everyWay(t *testing.T, test func(*testing.T)) {
	t.Helper()
	if !hasOpenat2() {
		t.Error("this kernel has no openat2: half of the code is not tested")
	}
	usual := hasOpenat2
	defer func() { hasOpenat2 = usual }()
	for name, has := range map[string]bool{"openat2": true, "names": false} {
		hasOpenat2 = func() bool { return has }
		t.Run(name, test)
	}
}

func TestFilesWithoutOpenat2(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"walk": TestWalk, "directory": TestWalkFromADirectory, "opening": TestOpening, "changing": TestChangingDirectories,
		"readlink": TestReadlink, "attributes": TestAttributesByPath, "readdir": TestReaddir,
	} {
		t.Run(name, func(t *testing.T) { everyWay(t, test) })
	}
}

func TestDevices(t *testing.T) {
	for path, want := range map[string]error{
		"/dev/null": nil, "/dev/zero": nil, "/dev/urandom": nil, "/dev/full": nil, "/dev/random": nil,
		"/dev/tty": ErrnoPerm, "/dev/ptmx": ErrnoPerm, "/dev/kmsg": ErrnoPerm,
	} {
		if _, err := os.Lstat(path); err != nil {
			continue // this machine does not have it
		}
		for name, mounts := range map[string][]wasi.Mount{
			"by itself": {{Host: t.TempDir(), Guest: "/"}, {Host: path, Guest: "/device"}},
			"all":       {{Host: t.TempDir(), Guest: "/"}, {Host: "/dev", Guest: "/dev"}},
		} {
			c := newCaller(t, wasi.Config{Mounts: mounts})
			guest := "device"
			if name == "all" {
				guest = path[1:]
			}
			if _, err := c.open(guest, 0, rightFDRead, 0); err != want {
				t.Errorf("%s, mounted %s: %v, want %v", path, name, err, want)
			}
		}
	}
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: t.TempDir(), Guest: "/"}, {Host: "/dev", Guest: "/dev"}}})
	zero := c.mustOpen("dev/zero", 0, readWrite, 0)
	copy(c.mem[addrData:], "xxxx")
	if got := c.read(zero, 4); got != "\x00\x00\x00\x00" {
		t.Errorf("/dev/zero: %q", got)
	}
	c.write(zero, "x")
	full := c.mustOpen("dev/full", 0, readWrite, 0)
	v, n := c.vec(1)
	c.want(ErrnoNospc, "fd_write", full, v, n, addrResult)
}

func TestSocketFile(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, "s")}); err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	if _, err := c.open("s", 0, rightFDRead, 0); err != ErrnoNxio {
		t.Errorf("a socket's file: %v", err)
	}
}

// The host's /proc contains the agent's own memory, environment and open files.
func TestProc(t *testing.T) {
	self, err := filepath.EvalSymlinks("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	for _, mounts := range [][]wasi.Mount{
		{{Host: t.TempDir(), Guest: "/"}, {Host: "/proc", Guest: "/host/proc", ReadOnly: true}},
		{{Host: t.TempDir(), Guest: "/"}, {Host: "/", Guest: "/host", ReadOnly: true}},
		{{Host: t.TempDir(), Guest: "/"}, {Host: self + "/environ", Guest: "/host/proc/self/environ"}},
	} {
		c := newCaller(t, wasi.Config{Mounts: mounts})
		for _, path := range []string{"host/proc/self/environ", "host/proc/self/mem", "host/proc/self/maps", "host/proc/1/environ", "host/proc/cmdline"} {
			if _, err := c.open(path, 0, rightFDRead, 0); err == nil {
				t.Errorf("%s of %s was opened", path, mounts[1].Host)
			}
		}
		// Links in it that lead to the whole host lead only to the guest's own files.
		for _, path := range []string{"host/proc/self/root/etc/passwd", "host/proc/self/cwd/special_test.go", "host/proc/self/fd/0", "host/proc/self/exe", "host/proc/thread-self/root/etc/passwd"} {
			if _, err := c.content(path); err == nil {
				t.Errorf("%s of %s was read", path, mounts[1].Host)
			}
		}
	}
}

func TestFIFOsOfAMount(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	r := c.mustOpen("fifo", 0, rightFDRead, 0)
	w := c.mustOpen("fifo", 0, rightFDWrite, 0)
	c.subscribe(0, eventFDRead, r, 0)
	c.subscribe(1, eventFDWrite, w, 0)
	if got := c.events(2); len(got) != 1 || got[0].index != 1 {
		t.Errorf("an empty FIFO: %+v", got)
	}
	c.write(w, "text")
	c.subscribe(0, eventFDRead, r, 0)
	if got := c.events(1); len(got) != 1 || got[0].nbytes != 4 {
		t.Errorf("a filled FIFO: %+v", got)
	}
	if got := c.read(r, 10); got != "text" {
		t.Errorf("read %q", got)
	}
	// A blocking write that is larger than a FIFO continues when there is room.
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() {
		f, err := os.Open(fifo)
		if err != nil {
			return
		}
		defer f.Close()
		buf := make([]byte, 1<<12)
		for total := 0; total < 128<<10; {
			n, err := f.Read(buf)
			if err != nil {
				return
			}
			total += n
		}
	})
	v, n := c.vec(128 << 10)
	c.want(nil, "fd_write", w, v, n, addrResult)
	if got := c.u32(addrResult); got != 128<<10 {
		t.Errorf("wrote %d", got)
	}
	c.want(ErrnoSpipe, "fd_seek", r, 1, 0, addrResult)
}

func TestFIFOWithoutAReader(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	r := c.mustOpen("fifo", 0, rightFDRead, 0)
	w := c.mustOpen("fifo", 0, rightFDWrite, 0)
	c.want(nil, "fd_close", r)
	v, n := c.vec(1)
	c.want(ErrnoPipe, "fd_write", w, v, n, addrResult) // and there is no SIGPIPE
}

// TestReadOnlyByEveryPath tries all calls that could change a read-only mount.
func TestReadOnlyByEveryPath(t *testing.T) {
	c, base := world(t)
	when := time.Unix(1_000_000, 0)
	if err := os.Chtimes(filepath.Join(base, "ro/file"), when, when); err != nil {
		t.Fatal(err)
	}
	fd := c.mustOpen("ro/file", 0, rightFDRead, 0)
	v, n := c.vec(1)
	p, size := c.put(addrPath, "ro/file")
	q, other := c.put(addrPath2, "ro/x")
	dir := c.mustOpen("ro", openDirectoryOnly, 0, 0)
	for _, call := range []struct {
		want error
		name string
		args []uint64
	}{
		{ErrnoBadf, "fd_write", []uint64{fd, v, n, 0}},
		{ErrnoBadf, "fd_pwrite", []uint64{fd, v, n, 0, 0}},
		{ErrnoBadf, "fd_allocate", []uint64{fd, 0, 100}},
		{ErrnoBadf, "fd_filestat_set_size", []uint64{fd, 0}},
		{ErrnoRofs, "fd_filestat_set_times", []uint64{fd, 0, 0, setMtimNow}},
		{ErrnoRofs, "fd_filestat_set_times", []uint64{dir, 0, 0, setMtimNow}},
		{ErrnoRofs, "path_filestat_set_times", []uint64{3, 0, p, size, 0, 0, setMtimNow}},
		{ErrnoRofs, "path_open", []uint64{3, 0, p, size, openTruncate, 0, 0, 0, 0}},
		{ErrnoRofs, "path_open", []uint64{3, 0, p, size, openTruncate, rightFDRead, 0, 0, 0}},
		{ErrnoRofs, "path_open", []uint64{3, 0, p, size, 0, rightFDWrite, 0, 0, 0}},
		{ErrnoRofs, "path_open", []uint64{3, 0, p, size, 0, readWrite, 0, flagAppend, 0}},
		{ErrnoRofs, "path_open", []uint64{3, 0, q, other, openCreate, 0, 0, 0, 0}},
		{ErrnoRofs, "path_link", []uint64{3, 0, p, size, 3, q, other}},
		{ErrnoXdev, "path_link", []uint64{3, 0, p, size, 3, q + 3, other - 3}},
		{ErrnoRofs, "path_rename", []uint64{3, p, size, 3, q, other}},
		{ErrnoRofs, "path_rename", []uint64{3, p, size, 3, q + 3, other - 3}},
		{ErrnoRofs, "path_unlink_file", []uint64{3, p, size}},
		{ErrnoRofs, "path_create_directory", []uint64{3, q, other}},
		{ErrnoRofs, "path_symlink", []uint64{p, size, 3, q, other}},
	} {
		c.want(call.want, call.name, call.args...)
	}
	info, err := os.Stat(filepath.Join(base, "ro/file"))
	if err != nil || info.Size() != 2 || !info.ModTime().Equal(when) {
		t.Errorf("the file is %v, %v", info, err)
	}
	entries, err := os.ReadDir(filepath.Join(base, "ro"))
	if err != nil || len(entries) != 3 {
		t.Errorf("the mount holds %v, %v", entries, err)
	}
}

func TestAllocateIsBounded(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	fd := c.mustOpen("file", openCreate, readWrite, 0)
	c.want(nil, "fd_allocate", fd, 0, 1<<20)
	c.want(ErrnoInval, "fd_allocate", fd, 0, 0)
	c.want(ErrnoInval, "fd_allocate", fd, 1<<63, 1<<63)
	c.want(ErrnoInval, "fd_allocate", fd, 1<<64-1, 1)
	for _, huge := range []uint64{1 << 52, 1<<63 - 1} {
		err := c.call("fd_allocate", fd, 0, huge)
		if err != ErrnoNospc && err != ErrnoFbig && err != ErrnoNotsup {
			t.Errorf("%d bytes: %v", huge, err)
		}
	}
	c.want(ErrnoInval, "fd_filestat_set_size", fd, 1<<63)
	if err := c.call("fd_filestat_set_size", fd, 1<<63-1); err != nil && err != ErrnoFbig && err != ErrnoInval {
		t.Errorf("the largest size: %v", err)
	}
	v, n := c.vec(1)
	c.want(ErrnoInval, "fd_pwrite", fd, v, n, 1<<63, addrResult)
	c.want(ErrnoInval, "fd_pread", fd, v, n, 1<<64-1, addrResult)
	// A kill ends an allocation that has many pieces.
	ctx := c.ctx
	c.ctx = killed()
	c.want(wasi.ErrKilled, "fd_allocate", fd, 0, 1<<20)
	c.ctx = ctx
}

// TestCookiesUnderChange reads a directory while entries are added and removed. An entry that
// exists all the time is seen once.
func TestCookiesUnderChange(t *testing.T) {
	dir := t.TempDir()
	for i := range 300 {
		testfiles.Write(t, filepath.Join(dir, "stays-"+string(rune('a'+i%26))+string(rune('a'+i/26))), "")
	}
	c := newCaller(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	seen := map[string]int{}
	cookie := uint64(0)
	for round := 0; ; round++ {
		if round > 2000 {
			t.Fatal("the directory has no end")
		}
		// The buffer is small, and another listing starts in between. So only the cookie says where
		// to continue.
		c.want(nil, "fd_readdir", 3, addrData, 200, cookie, addrResult)
		used := int(c.u32(addrResult))
		b := c.mem[addrData : addrData+used]
		for len(b) >= direntSize {
			size := int(b[16]) // names are short here
			if len(b) < direntSize+size {
				break
			}
			seen[string(b[direntSize:direntSize+size])]++
			cookie = uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
			b = b[direntSize+size:]
		}
		if used < 200 {
			break
		}
		name := filepath.Join(dir, "comes-"+string(rune('a'+round%26)))
		if round%2 == 0 {
			testfiles.Write(t, name, "")
		} else {
			_ = os.Remove(name)
		}
		c.want(nil, "fd_readdir", 3, 0x20000, 64, 0, addrResult)
	}
	stays := 0
	for name, times := range seen {
		if len(name) > 6 && name[:6] == "stays-" {
			stays++
			if times != 1 {
				t.Errorf("%s is seen %d times", name, times)
			}
		}
	}
	if stays != 300 {
		t.Errorf("%d of 300 entries are seen", stays)
	}
}
