package preview1

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// killed is the context of a guest that was killed, so that no call of the fuzzer waits.
func killed() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// argument selects useful arguments: descriptors, small numbers, valid addresses, extreme values.
func argument(r *rand.Rand, size int) uint64 {
	switch r.IntN(8) {
	case 0, 1:
		return r.Uint64N(8)
	case 2, 3:
		return r.Uint64N(uint64(size))
	case 4:
		return uint64(size) - r.Uint64N(64)
	case 5:
		return 1<<32 - 1 - r.Uint64N(64)
	case 6:
		return r.Uint64()
	}
	return 1 << r.Uint64N(64)
}

// hostileWorld is the world whose descriptors include a listening socket and a connection.
func hostileWorld(t *testing.T) (*caller, string) {
	t.Helper()
	socket := listen(t)
	addr := socket.Addr().String()
	c, base := world(t, socket)
	c.g.fds.slots[3], c.g.fds.slots[4] = c.g.fds.slots[4], c.g.fds.slots[3] // so that "/" has its usual number
	if _, err := dial(t, addr).Write([]byte("data")); err != nil {
		t.Fatal(err)
	}
	c.want(nil, "sock_accept", 4, 0, addrResult)
	c.socket(familyIPv4, socketStream)
	datagrams := c.socket(familyIPv4, socketDatagram)
	ptr, port := c.address("127.0.0.1:0", 4)
	c.want(nil, "sock_bind", datagrams, ptr, port)
	return c, base
}

// fuzzCalls calls functions of the whole table with hostile arguments, on a memory of random bytes.
func fuzzCalls(t *testing.T, seed uint64, calls int) {
	c, base := hostileWorld(t)
	r := rand.New(rand.NewPCG(seed, 1))
	const size, guard = 8 << 10, 4 << 10
	arena := bytes.Repeat([]byte{0xA5}, size+2*guard)
	mem := arena[guard : guard+size]
	names := []string{"dir", "dir/nested/file", "absolute", "ro/rw/inner", "etc/hosts", "above", "outside", "new", ".."}
	ctx := killed()
	for range calls {
		for i := 0; i < size; i += 8 {
			binary.LittleEndian.PutUint64(mem[i:], r.Uint64N(1<<16)<<32|r.Uint64N(size))
		}
		copy(mem[r.IntN(size/2):], names[r.IntN(len(names))])
		f := Functions()[r.IntN(len(Functions()))]
		args := make([]uint64, len(f.Params))
		for i := range args {
			args[i] = argument(r, size)
		}
		if f.Name == "fd_allocate" && args[2] > 1<<20 {
			continue // it would fill the disk
		}
		errno, err := f.Call(ctx, c.g, mem, args)
		var exit *wasi.ExitError
		if err != nil && !errors.As(err, &exit) && !errors.Is(err, wasi.ErrKilled) {
			t.Fatalf("%s%v: %v", f.Name, args, err)
		}
		if f.Name == "path_symlink" && err == nil && errno == ErrnoSuccess {
			// A guest may make a link with any target, but the link must never lead out.
			c.one("path_unlink_file", "new") // it may not exist
		}
	}
	for i, b := range arena {
		if (i < guard || i >= guard+size) && b != 0xA5 {
			t.Fatalf("byte %d outside of the memory was written", i-guard)
		}
	}
	if secret, err := os.ReadFile(filepath.Join(base, "secret")); err != nil || string(secret) != "secret" {
		t.Fatalf("a file outside of all mounts holds %q, %v", secret, err)
	}
	if file, err := os.ReadFile(filepath.Join(base, "ro/file")); err != nil || string(file) != "ro" {
		t.Fatalf("a file of a read-only mount holds %q, %v", file, err)
	}
}

// docs/security.md: "Pointers and lengths that a guest passes are checked on every call."
func TestHostileCalls(t *testing.T) {
	for seed := range uint64(10) {
		fuzzCalls(t, seed, 2000)
	}
}

func FuzzCalls(f *testing.F) {
	for seed := range uint64(3) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { fuzzCalls(t, seed, 500) })
}

// FuzzOneCall lets the fuzzer select the function, its arguments and the memory.
func FuzzOneCall(f *testing.F) {
	for i := range Functions() {
		f.Add(byte(i), uint64(3), uint64(0), uint64(16), uint64(8), uint64(1<<32-1), []byte("dir/nested/file"))
	}
	f.Fuzz(func(t *testing.T, index byte, a, b, c, d, e uint64, mem []byte) {
		fn := Functions()[int(index)%len(Functions())]
		if fn.Name == "fd_allocate" || len(mem) > 1<<16 {
			return
		}
		w, _ := hostileWorld(t)
		all := []uint64{a, b, c, d, e, a, b, c, d, e}
		_, _ = fn.Call(killed(), w.g, mem, all[:len(fn.Params)])
	})
}

// FuzzWalk searches for a path and a link that lead to the secret.
func FuzzWalk(f *testing.F) {
	for _, p := range []string{"dir/nested/file", "../secret", "above", "outside/../x", "root/../..", "loop/x", "//", "./.", "ro/rw/../../.."} {
		f.Add(p, "../../secret")
		f.Add("l/"+p, "/")
	}
	f.Fuzz(func(t *testing.T, path, target string) {
		if len(path) >= wasi.MaxPath || len(target) >= wasi.MaxPath {
			return
		}
		c, base := world(t)
		_ = c.two("path_symlink", target, "l")
		for _, p := range []string{path, "l", "l/" + path} {
			if text, err := c.content(p); err == nil && strings.Contains(text, "secret") {
				t.Fatalf("%q with a link to %q reads the secret", p, target)
			}
			_ = c.one("path_create_directory", p)
			_ = c.two("path_rename", "dir/nested/file", p)
		}
		entries, err := os.ReadDir(base)
		if err != nil || len(entries) != 7 {
			t.Fatalf("outside of the mounts there are now %v (%v)", entries, err)
		}
	})
}

// TestRacesLeadNowhere replaces a directory with a link to the outside while the guest walks
// through it.
// docs/security.md: "symbolic links (absolute ones too) and directories swapped at the wrong moment
// do not lead out."
func TestRacesLeadNowhere(t *testing.T) {
	c, base := world(t)
	testfiles.Write(t, filepath.Join(base, "out/file"), "secret")
	dir, link := filepath.Join(base, "root/d"), filepath.Join(base, "root/d-link")
	testfiles.Write(t, filepath.Join(dir, "file"), "inside")
	testfiles.Symlink(t, filepath.Join(base, "out"), link)
	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swaps := 0
	swapper.Go(func() {
		spare := filepath.Join(base, "root/d-spare")
		for {
			select {
			case <-stop:
				return
			default:
			}
			if os.Rename(dir, spare) == nil && os.Rename(link, dir) == nil && os.Rename(dir, link) == nil && os.Rename(spare, dir) == nil {
				swaps++
			}
		}
	})
	finish := sync.OnceFunc(func() { close(stop); swapper.Wait() })
	defer finish()
	inside, missed := 0, 0
	for range 5000 {
		text, err := c.content("d/file")
		switch {
		case strings.Contains(text, "secret"):
			t.Fatal("the guest read a file outside of its mounts")
		case text == "inside":
			inside++
		case err != nil:
			missed++
		}
		_ = c.one("path_unlink_file", "d/other")
		if fd, err := c.open("d/made", openCreate, readWrite, 0); err == nil {
			c.want(nil, "fd_close", fd)
		}
	}
	finish()
	t.Logf("%d swaps, %d reads inside, %d errors", swaps, inside, missed)
	if _, err := os.Stat(filepath.Join(base, "out/made")); err == nil {
		t.Error("the guest made a file outside of its mounts")
	}
	if inside == 0 || swaps == 0 {
		t.Error("there was no race")
	}
}
