package p3_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// waits has ways of a guest to wait for something that does not come. Each begins without waiting,
// and returns what to wait for.
var waits = map[string]func(g *guest) (waitable int){
	"for a time": func(g *guest) int { return g.call("wait-for-async", int(time.Hour)) >> 4 },
	"for the input": func(g *guest) int {
		g.call("read-via-stream", addrResult)
		stream, _ := g.ends()
		g.call("bytes.read-async", stream, addrData, 10)
		return stream
	},
	"for the end of the input": func(g *guest) int {
		g.call("read-via-stream", addrResult)
		stream, _ := g.ends()
		return stream
	},
	"for the rate of the log": func(g *guest) int {
		r, w := g.pair()
		g.call("stdout", r)
		return g.fill(w)
	},
	"to read from a FIFO": func(g *guest) int {
		g.call("read-file", g.mustOpen(g.root(), "pipe", 0, read), 0, addrResult)
		stream, _ := g.ends()
		g.call("bytes.read-async", stream, addrData, 10)
		return stream
	},
	"to write to a FIFO": func(g *guest) int {
		r, w := g.pair()
		g.call("append-via-stream", g.mustOpen(g.root(), "pipe", 0, write), r)
		return g.fill(w)
	},
}

// fill writes to a stream until that waits.
func (g *guest) fill(w int) int {
	g.t.Helper()
	set := g.call("set")
	g.call("join", w, set)
	for range 100 {
		g.call("bytes.write-async", w, addrData, dataSize)
		if g.call("poll", set, addrEvent) == 0 {
			g.call("join", w, 0)
			return w
		}
	}
	g.t.Error("no write waits")
	return w
}

// waiting makes a guest that can wait in each way.
func waiting(t testing.TB, files *wasi.Files) (g *guest, end func() error) {
	t.Helper()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	stdin, keyboard := io.Pipe()
	g, endGuest := makeGuest(t, wasi.Config{
		Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}, Stdin: stdin, Stdout: io.Discard, OutputRate: 1000, Files: files,
	})
	return g, func() error { return errors.Join(endGuest(), keyboard.Close(), other.Close()) }
}

// TestKill kills guests that wait, each in another way: in a wait for an event.
func TestKill(t *testing.T) {
	for name, begin := range waits {
		t.Run(name, func(t *testing.T) {
			g, end := waiting(t, nil)
			waitable := begin(g)
			set := g.call("set")
			g.call("join", waitable, set)
			ended := make(chan error, 1)
			go func() {
				_, err := g.try("wait", set, addrEvent)
				ended <- err
			}()
			g.kill(errKill)
			if err := <-ended; !errors.Is(err, errKill) {
				t.Errorf("the wait ended with %v", err)
			}
			if err := end(); err != nil {
				t.Errorf("closing: %v", err)
			}
		})
	}
}

// TestKillInTheTurn kills a guest while the host moves bytes without it.
func TestKillInTheTurn(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "file"), "")
	if err := os.Truncate(filepath.Join(dir, "file"), 1<<40); err != nil {
		t.Fatal(err)
	}
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}})
	h := g.mustOpen(g.root(), "file", 0, read)
	g.call("read-file", h, 0, addrResult)
	stream, _ := g.ends()
	future := g.call("stdout", stream)
	g.call("now") // others get their turn
	ended := make(chan error, 1)
	go func() {
		_, err := g.try("cli-future.read", future, addrFuture)
		ended <- err
	}()
	g.kill(errKill)
	if err := <-ended; !errors.Is(err, errKill) && !errors.Is(err, wasi.ErrKilled) {
		t.Errorf("the guest ended with %v", err)
	}
}

// openFiles is how many descriptors the process has.
func openFiles(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestNothingIsLeft makes many guests that end while they wait in every way, and have files open.
func TestNothingIsLeft(t *testing.T) {
	const guests, stock = 1000, 100
	shared := wasi.NewFiles(stock)
	once := func() {
		g, end := waiting(t, shared)
		for _, begin := range waits {
			begin(g)
		}
		root := g.root()
		h := g.mustOpen(root, "file", create, read|write)
		g.call("read-file", h, 0, addrResult)
		g.call("sync-async", h, addrResult)
		g.call("read-directory", root, addrResult)
		if err := end(); err != nil {
			t.Fatalf("closing: %v", err)
		}
	}
	once()
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	for range guests {
		once()
	}
	eventually.True(t, "goroutines and files are as many as before", func() bool {
		return runtime.NumGoroutine() <= goroutines && openFiles(t) <= files && shared.Free() == stock
	})
}

// TestStreamsAreBounded opens streams until the guest has no more room, and gives the room back.
func TestStreamsAreBounded(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "file"), "text")
	files := wasi.NewFiles(1000)
	g := newGuest(t, wasi.Config{Mounts: []wasi.Mount{{Host: dir, Guest: "/"}}, MaxDescriptors: 10, Files: files})
	h := g.mustOpen(g.root(), "file", 0, read)
	var open []int
	for range 5 { // beside the four that each guest has, and the file
		g.call("read-file", h, 0, addrResult)
		stream, _ := g.ends()
		open = append(open, stream)
	}
	g.call("read-file", h, 0, addrResult)
	stream, future := g.ends()
	if got := g.all(stream, 10); len(got) != 0 {
		t.Errorf("one stream too many has %q", got)
	}
	if code := g.outcome("file-future", future); code != insufficientMemory {
		t.Errorf("one stream too many has error %d", code)
	}
	r, w := g.pair()
	future = g.call("stdout", r)
	if sent := g.send(w, []byte("text")); sent != 0 {
		t.Errorf("one stream too many took %d bytes", sent)
	}
	g.outcome("cli-future", future)
	if _, code := g.open(g.root(), "file", 0, read); code != insufficientMemory {
		t.Errorf("one file too many has error %d", code)
	}
	for i, s := range open {
		if i%2 == 0 {
			g.all(s, 10)
		}
		g.call("bytes.drop-readable", s)
	}
	g.call("drop", h)
	if files.Free() != 1000 {
		t.Errorf("%d files are free, want all", files.Free())
	}
	g.call("read-file", g.mustOpen(g.root(), "file", 0, read), 0, addrResult)
	stream, _ = g.ends()
	if got := g.all(stream, 10); string(got) != "text" {
		t.Errorf("after that a stream has %q", got)
	}
}

// TestTimersAreBounded waits for more times than a guest may.
func TestTimersAreBounded(t *testing.T) {
	g := newGuest(t, wasi.Config{})
	for range 1 << 15 {
		if _, err := g.try("wait-for-async", int(time.Hour)); err != nil {
			if !strings.Contains(err.Error(), "more than") {
				t.Errorf("the guest ended with %v", err)
			}
			return
		}
	}
	t.Error("a guest may wait for any number of times")
}
