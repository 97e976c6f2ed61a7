package wasi

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
)

// newTestGuest makes a guest that is closed when the test ends.
func newTestGuest(t *testing.T, cfg Config) *Guest {
	t.Helper()
	if cfg.Mounts == nil {
		cfg.Mounts = []Mount{{Host: t.TempDir(), Guest: "/"}}
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(g.CloseInitial(), g.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return g
}

// heard waits until Notify calls.
func heard(i *Input) {
	told := make(chan struct{})
	i.Notify(func() { close(told) })
	<-told
}

func TestPeek(t *testing.T) {
	r, w := io.Pipe()
	in := newTestGuest(t, Config{Stdin: r}).Stdin()
	p := make([]byte, 10)
	if n, err := in.Peek(p); n != 0 || !errors.Is(err, ErrWouldBlock) {
		t.Errorf("before there are bytes: %d, %v", n, err)
	}
	replaced := false
	in.Notify(func() { replaced = true })
	told := make(chan struct{})
	in.Notify(func() { close(told) })
	go func() {
		_, _ = w.Write([]byte("abcdef"))
		_ = w.Close()
	}()
	<-told
	if n, err := in.Peek(p[:4]); string(p[:n]) != "abcd" || err != nil {
		t.Errorf("peeking: %q, %v", p[:n], err)
	}
	in.Discard(4)
	if n, err := in.Peek(p); string(p[:n]) != "ef" || err != nil {
		t.Errorf("peeking after four were taken: %q, %v", p[:n], err)
	}
	heard(in) // at once, as there are bytes
	in.Discard(100)
	heard(in)
	if n, err := in.Peek(p); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if replaced {
		t.Error("a function was called that another one replaced")
	}
	broken := newTestGuest(t, Config{Stdin: iotest.ErrReader(unix.EIO)}).Stdin()
	heard(broken)
	if _, err := broken.Peek(p); !errors.Is(err, unix.EIO) {
		t.Errorf("an input that fails: %v", err)
	}
}

// TestNotifyOfQuiesce has the end of the input told.
func TestNotifyOfQuiesce(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	g := newTestGuest(t, Config{Stdin: r})
	told := make(chan struct{})
	g.Stdin().Notify(func() { close(told) })
	g.Quiesce()
	<-told
	if _, err := g.Stdin().Peek(nil); !errors.Is(err, io.EOF) {
		t.Errorf("after it: %v", err)
	}
}

func TestGrant(t *testing.T) {
	var out bytes.Buffer
	g := newTestGuest(t, Config{Stdout: &out, OutputRate: 1000})
	got := g.Stdout().Grant(5000)
	if got != 1000 || g.Stderr().Grant(500) != 0 {
		t.Errorf("granted %d bytes of a rate of 1000, and more after that", got)
	}
	if err := g.Stdout().Put(t.Context(), make([]byte, got)); err != nil || out.Len() != got {
		t.Errorf("wrote %d bytes, %v", out.Len(), err)
	}
	free := newTestGuest(t, Config{}).Stderr()
	if got := free.Grant(500); got != 500 || !free.Unbounded() || g.Stdout().Unbounded() || free.Put(t.Context(), make([]byte, got)) != nil {
		t.Errorf("without a rate and a writer %d bytes are granted", got)
	}
}

// TestWatch waits for FIFOs beside the guest.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	var files [2]*File
	var others [2]*os.File
	g := newTestGuest(t, Config{Mounts: []Mount{{Host: dir, Guest: "/"}}})
	for i, name := range []string{"a", "b"} {
		path := filepath.Join(dir, name)
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		other, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		opened, err := g.Root().Open(t.Context(), name, Read|Write)
		if err != nil {
			t.Fatal(err)
		}
		files[i], others[i] = opened.(*File), other
	}
	watch := func(f *File, write bool) (chan struct{}, *Watch) {
		ready := make(chan struct{})
		w, err := f.Watch(write, func() { close(ready) })
		if err != nil {
			t.Fatal(err)
		}
		return ready, w
	}
	first, _ := watch(files[0], false)
	second, stopped := watch(files[1], false)
	writable, _ := watch(files[1], true)
	<-writable
	stopped.Stop()
	for _, o := range others {
		if _, err := o.WriteString("x"); err != nil {
			t.Fatal(err)
		}
	}
	<-first
	again, _ := watch(files[1], false) // the goroutine may have ended
	<-again
	select {
	case <-second:
		t.Error("a watch was told after it was stopped")
	default:
	}
	_, _ = watch(files[0], false) // which is left when the guest ends
	for _, f := range files {
		if err := f.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestSyncLater(t *testing.T) {
	files := NewFiles(2)
	g := newTestGuest(t, Config{Files: files})
	opened, err := g.Root().Open(t.Context(), "file", Read|Write|Create)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for _, later := range []func(bool, func(error)) bool{opened.(*File).SyncLater, g.Root().SyncLater} {
		if !later(true, func(err error) { done <- err }) {
			t.Fatal("there is no room for a flush")
		}
		if err := <-done; err != nil {
			t.Errorf("a flush: %v", err)
		}
	}
	files.take(0)
	if opened.(*File).SyncLater(false, func(error) {}) {
		t.Error("a flush begins without a file of the stock")
	}
	files.give(1)
	if err := opened.Close(t.Context()); err != nil || files.Free() != 2 {
		t.Errorf("%d files are free, %v", files.Free(), err)
	}
}

func TestReserve(t *testing.T) {
	g := newTestGuest(t, Config{MaxDescriptors: streamsAndRoot + 1})
	if err := g.Reserve(); err != nil {
		t.Error(err)
	}
	if err := g.Reserve(); !errors.Is(err, ErrTooManyOpen) {
		t.Errorf("one more than the guest may have: %v", err)
	}
	g.Release()
	opened, err := g.Root().Open(t.Context(), "file", Create)
	if err != nil {
		t.Fatalf("after that: %v", err)
	}
	if err := opened.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestConfined has paths lead above the directory where they begin.
func TestConfined(t *testing.T) {
	dir := t.TempDir()
	testfiles.Write(t, filepath.Join(dir, "sub", "file"), "")
	for name, target := range map[string]string{
		"up": "..", "absolute": "/sub/file", "inside": "sub/../sub/file", "sub/up": "..", "sub/absolute": "/sub/file", "sub/high": "../../sub/file",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, confined := range []bool{false, true} {
		g := newTestGuest(t, Config{Mounts: []Mount{{Host: dir, Guest: "/"}}, Confined: confined, WorkDir: "/sub/work"})
		opened, err := g.Root().Open(t.Context(), "sub", Read)
		if err != nil {
			t.Fatal(err)
		}
		sub := opened.(*Directory)
		for _, test := range []struct {
			from     *Directory
			path     string
			is, also error // without and with Confined
		}{
			{g.Root(), "..", nil, ErrNotPermitted},
			{g.Root(), "sub/../..", nil, ErrNotPermitted},
			{g.Root(), "up", nil, ErrNotPermitted},
			{g.Root(), "up/sub", nil, ErrNotPermitted},
			{g.Root(), "sub/..", nil, nil},
			{g.Root(), "absolute", nil, nil},
			{g.Root(), "inside", nil, nil},
			{g.Root(), "sub/up", nil, nil},
			{g.Root(), "sub/high", nil, ErrNotPermitted},
			{sub, "..", ErrNotPermitted, ErrNotPermitted},
			{sub, "up", nil, ErrNotPermitted},
			{sub, "absolute", nil, ErrNotPermitted},
			{sub, "work/../file", nil, nil},
		} {
			want := test.is
			if confined {
				want = test.also
			}
			if _, err := test.from.StatPath(t.Context(), test.path, true); !errors.Is(err, want) {
				t.Errorf("%s from %s, confined %v: %v, want %v", test.path, test.from.Path(), confined, err, want)
			}
		}
		if err := sub.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestVariables(t *testing.T) {
	for _, test := range []struct {
		env     []string
		workDir string
		want    int
		last    [2]string
	}{
		{[]string{"A=1=2"}, "", 1, [2]string{"A", "1=2"}},
		{[]string{"A="}, "/work", 2, [2]string{"PWD", "/work"}},
		{[]string{"PWD=/other"}, "/work", 1, [2]string{"PWD", "/other"}},
	} {
		got, err := newTestGuest(t, Config{Env: test.env, WorkDir: test.workDir}).Variables(t.Context())
		if err != nil || len(got) != test.want || got[len(got)-1] != test.last {
			t.Errorf("%q in %q: %q, %v", test.env, test.workDir, got, err)
		}
	}
}
