package p3_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// withPipe makes a guest with a FIFO, and opens the other end of that.
func withPipe(t *testing.T, flags int) (g *guest, other *os.File) {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := os.OpenFile(filepath.Join(dir, "pipe"), flags|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	return newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}}), other
}

// TestBrokenPipe writes to a FIFO whose reader goes.
func TestBrokenPipe(t *testing.T) {
	g, other := withPipe(t, os.O_RDONLY)
	r, w := g.pair()
	future := g.call("write-via-stream", g.mustOpen(g.root(), "pipe", 0, write), r, 0)
	g.fill(w)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if code := g.outcome("file-future", future); code != pipe {
		t.Errorf("error %d, want %d", code, pipe)
	}
}

// TestEndOfPipe reads from a FIFO whose writer goes.
func TestEndOfPipe(t *testing.T) {
	g, other := withPipe(t, os.O_RDWR)
	g.call("read-file", g.mustOpen(g.root(), "pipe", 0, read), 0, addrResult)
	stream, future := g.ends()
	if _, err := other.WriteString("last words"); err != nil {
		t.Fatal(err)
	}
	if r := g.call("bytes.read", stream, addrData, 4); r != 4<<4 {
		t.Errorf("a read returned %#x", r)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if got := g.all(stream, 4); string(got) != " words" {
		t.Errorf("the rest is %q", got)
	}
	if code := g.outcome("file-future", future); code != fine {
		t.Errorf("error %d", code)
	}
}

// TestWriterGoes has a guest give up a write that waits, and its end: what the host has taken still
// comes to the FIFO, and then the future gets its value.
func TestWriterGoes(t *testing.T) {
	g, other := withPipe(t, os.O_RDWR)
	r, w := g.pair()
	future := g.call("append-via-stream", g.mustOpen(g.root(), "pipe", 0, write), r)
	g.fill(w)
	if r := g.call("bytes.cancel-write", w); r&15 != cancelled {
		t.Errorf("cancelling a write returned %#x", r)
	}
	g.call("bytes.drop-writable", w)
	got := make(chan int)
	go func() {
		b, n := make([]byte, 1<<20), 0
		for deadline := time.Now().Add(time.Minute); n < 60<<10 && time.Now().Before(deadline); {
			m, err := other.Read(b)
			if err != nil {
				break
			}
			n += m
		}
		got <- n
	}()
	if code := g.outcome("file-future", future); code != fine {
		t.Errorf("error %d", code)
	}
	if n := <-got; n < 60<<10 {
		t.Errorf("%d bytes came to the FIFO, which takes 64 KiB", n)
	}
}

// TestWriterGoesWhileHeldBack has the writer of a log go while its rate is used up.
func TestWriterGoesWhileHeldBack(t *testing.T) {
	var out bytes.Buffer
	g := newGuest(t, wasi.Config{Stdout: &out, OutputRate: 1000})
	r, w := g.pair()
	future := g.call("stdout", r)
	g.fill(w)
	g.call("bytes.cancel-write", w)
	g.call("bytes.drop-writable", w)
	if code := g.outcome("cli-future", future); code != fine || out.Len() == 0 {
		t.Errorf("error %d, %d bytes", code, out.Len())
	}
}

// untouched fails the test if it is read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the input is read of a guest that does not ask for it")
	return 0, nil
}

// TestInputIsLeftAlone has a guest that opens its input and does not read.
func TestInputIsLeftAlone(t *testing.T) {
	g := newGuest(t, wasi.Config{Stdin: untouched{t}})
	g.call("read-via-stream", addrResult)
	stream, _ := g.ends()
	g.call("wait-for", int(time.Millisecond))
	g.call("bytes.drop-readable", stream)
}

// TestCancelledRead gives up a read of a FIFO: the bytes that come then are for the next one.
func TestCancelledRead(t *testing.T) {
	g, other := withPipe(t, os.O_RDWR)
	g.call("read-file", g.mustOpen(g.root(), "pipe", 0, read), 0, addrResult)
	stream, _ := g.ends()
	for range 3 {
		g.call("bytes.read-async", stream, addrData, 10)
		if r := g.call("bytes.cancel-read", stream); r != cancelled {
			t.Errorf("cancelling a read returned %#x", r)
		}
	}
	if _, err := other.WriteString("bytes"); err != nil {
		t.Fatal(err)
	}
	if r := g.call("bytes.read", stream, addrData, 10); r != 5<<4 || string(g.get(addrData, 5)) != "bytes" {
		t.Errorf("the read returned %#x with %q", r, g.get(addrData, 5))
	}
}

// TestOthersGetTheirTurn has a time pass while the host copies a large file without the guest.
func TestOthersGetTheirTurn(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "file"), "")
	if err := os.Truncate(filepath.Join(dir, "file"), 1<<40); err != nil {
		t.Fatal(err)
	}
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	g.call("read-file", g.mustOpen(g.root(), "file", 0, read), 0, addrResult)
	stream, _ := g.ends()
	g.call("stdout", stream)
	for range 10 {
		began := time.Now()
		g.call("wait-for", int(time.Millisecond))
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("a millisecond took %s", took)
		}
	}
}

// TestFileToFile copies a file by the host alone, and appends it to itself.
func TestFileToFile(t *testing.T) {
	dir := t.TempDir()
	text := strings.Repeat("0123456789", 30_000)
	testfiles.Write(t, filepath.Join(dir, "from"), text)
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	root := g.root()
	from, to := g.mustOpen(root, "from", 0, read), g.mustOpen(root, "to", create, write)
	for range 2 {
		g.call("read-file", from, 0, addrResult)
		stream, in := g.ends()
		out := g.call("append-via-stream", to, stream)
		if a, b := g.outcome("file-future", out), g.outcome("file-future", in); a != fine || b != fine {
			t.Errorf("errors %d and %d", a, b)
		}
	}
	if got := g.content("to"); got != text+text {
		t.Errorf("the copy has %d bytes, want %d", len(got), 2*len(text))
	}
}

// TestFullDisk writes more than a file may have.
func TestFullDisk(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	r, w := g.pair()
	future := g.call("write-via-stream", g.mustOpen(g.root(), "file", create, write), r, 1<<63-10)
	g.send(w, []byte("more than ten bytes"))
	if code := g.outcome("file-future", future); code == fine {
		t.Error("a write above all offsets has no error")
	}
}
