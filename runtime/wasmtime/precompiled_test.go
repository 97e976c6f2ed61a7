package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func compilerOf(t *testing.T, dir string, argv ...string) *Compiler {
	t.Helper()
	c, err := NewCompiler(Config{CacheDir: dir, Log: testLog(t), Compiler: argv})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// newWorkerEngine makes an engine that never compiles.
func newWorkerEngine(t *testing.T, dir string) *Engine {
	t.Helper()
	e, err := New(Config{CacheDir: dir, Log: testLog(t), LoadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func TestAnEngineThatNeverCompiles(t *testing.T) {
	dir, file := t.TempDir(), filepathTiny(t)
	digest := guests.Digest(t, file)
	e := newWorkerEngine(t, dir)
	spec := runtime.Spec{Command: runtime.Command{Args: []string{"tiny", "x"}}}
	if _, err := tryStart(t, e, file, spec); !errors.Is(err, runtime.ErrNotCompiled) {
		t.Fatalf("before it is compiled: %v", err)
	}
	c := compilerOf(t, dir, self()...)
	if err := c.Compile(t.Context(), "", digest, file); err != nil {
		t.Fatal(err)
	}
	if exit := start(t, e, file, spec).wait(); exit.Code != 0 {
		t.Errorf("exit %+v", exit)
	}
	// The module's file may be removed, because it is not read again.
	if err := c.Compile(t.Context(), "", digest, "/nonexistent"); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := compilerOf(t, dir, self()...).Compile(t.Context(), "", digest, "/nonexistent"); err != nil {
		t.Errorf("by another: %v", err)
	}
	path := cached(t, dir)[0]
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	start(t, newWorkerEngine(t, dir), file, spec).wait()
	if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(old) || len(cached(t, dir)) != 1 {
		t.Errorf("the cache was touched: %v, %v", info.ModTime(), err)
	}
	// The engine detects damage, and the compiler repairs it.
	good := []byte(read(t, path))
	good[len(good)/2] ^= 1
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	e = newWorkerEngine(t, dir)
	if _, err := tryStart(t, e, file, spec); !errors.Is(err, runtime.ErrNotCompiled) {
		t.Errorf("damaged: %v", err)
	}
	if err := c.Compile(t.Context(), "", digest, file); err != nil {
		t.Fatal(err)
	}
	if exit := start(t, e, file, spec).wait(); exit.Code != 0 {
		t.Errorf("exit %+v", exit)
	}
}

func TestAnEngineThatNeverCompilesMakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	e := newWorkerEngine(t, dir)
	if _, err := tryStart(t, e, filepathTiny(t), runtime.Spec{}); !errors.Is(err, runtime.ErrNotCompiled) {
		t.Errorf("without a cache: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if e, err := New(Config{CacheDir: open, Log: testLog(t), LoadOnly: true}); err == nil {
		_ = e.Close()
		t.Error("a folder that all may write is taken")
	}
	if _, err := NewCompiler(Config{CacheDir: open, Log: testLog(t), LoadOnly: true}); err == nil {
		t.Error("a compiler that never compiles")
	}
}

func TestCompileErrors(t *testing.T) {
	dir := t.TempDir()
	c := compilerOf(t, dir, self()...)
	tiny := filepathTiny(t)
	damaged := filepath.Join(t.TempDir(), "damaged.wasm")
	testfiles.Write(t, damaged, "\x00asm\x01\x00\x00\x00junk")
	for _, f := range []struct{ digest, file, want string }{
		{"sha256:1", tiny, "64 hexadecimal digits"},
		{"sha256:" + strings.Repeat("0", 64), tiny, "not the module that is asked for"},
		{guests.Digest(t, tiny), "/nonexistent", "reading the module"},
		{guests.Digest(t, damaged), damaged, "compiling: "},
	} {
		if err := c.Compile(t.Context(), "", f.digest, f.file); err == nil || !strings.Contains(err.Error(), f.want) {
			t.Errorf("%s: %v, want %q in it", f.file, err, f.want)
		}
	}
	if files := cached(t, dir); len(files) != 0 {
		t.Errorf("which is kept: %v", files)
	}
	// A module that an engine would refuse is also compiled. The engine refuses it at the start.
	none := wat(t, `(module)`)
	if err := c.Compile(t.Context(), "", guests.Digest(t, none), none); err != nil {
		t.Error(err)
	}
	if _, err := tryStart(t, newWorkerEngine(t, dir), none, runtime.Spec{}); !errors.Is(err, errNoStart) {
		t.Errorf("no _start: %v", err)
	}
	full := t.TempDir()
	testfiles.Write(t, filepath.Dir(CompiledPath(full, guests.Digest(t, tiny))), "in the way")
	if err := compilerOf(t, full, self()...).Compile(t.Context(), "", guests.Digest(t, tiny), tiny); err == nil || !strings.Contains(err.Error(), "compiled code") {
		t.Errorf("a cache that takes nothing: %v", err)
	}
}

func TestCompileOnceForAll(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	count := filepath.Join(t.TempDir(), "count")
	c := compilerOf(t, t.TempDir(), "/bin/sh", "-c", `echo >>`+count+`; exec "$0" `+CompileCommand+` "$@"`, self)
	file := guests.Build(t, "hello")
	digest := guests.Digest(t, file)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := c.Compile(t.Context(), "", digest, file); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(read(t, count)); n != 1 {
		t.Errorf("%d compilations of one module", n)
	}
}

func TestCompileEnds(t *testing.T) {
	c := compilerOf(t, t.TempDir(), "/bin/sh", "-c", "exec sleep 1000")
	file := filepathTiny(t)
	digest := guests.Digest(t, file)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 1)
	begin := func() {
		go func() { errs <- c.Compile(ctx, "", digest, file) }()
		eventually.True(t, "the compiler runs", func() bool { return len(children(t)) == 1 })
	}
	begin()
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up gets %v", err)
	}
	eventually.True(t, "the compiler has exited", func() bool { return len(children(t)) == 0 })
	ctx = t.Context()
	begin()
	c.Close()
	if err := <-errs; err == nil || len(children(t)) != 0 {
		t.Errorf("after Close: %v, %d compilers", err, len(children(t)))
	}
	if err := c.Compile(ctx, "", digest, file); !errors.Is(err, ErrClosed) {
		t.Errorf("later: %v", err)
	}
}

// TestCompilationsAreTold: Config.Compiled is called for modules that are compiled, that were
// compiled before, and that cannot be compiled.
func TestCompilationsAreTold(t *testing.T) {
	dir, file := t.TempDir(), filepathTiny(t)
	var told []string
	compiler := func() *Compiler {
		c, err := NewCompiler(Config{CacheDir: dir, Log: testLog(t), Compiled: func(cached bool, took time.Duration, err error) {
			told = append(told, fmt.Sprint(cached, took > 0, err != nil))
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	damaged := filepath.Join(t.TempDir(), "damaged.wasm")
	testfiles.Write(t, damaged, "\x00asm\x01\x00\x00\x00junk")
	c := compiler()
	for range 2 {
		if err := c.Compile(t.Context(), "", guests.Digest(t, file), file); err != nil {
			t.Fatal(err)
		}
	}
	if err := compiler().Compile(t.Context(), "", guests.Digest(t, file), file); err != nil {
		t.Fatal(err)
	}
	if err := c.Compile(t.Context(), "", guests.Digest(t, damaged), damaged); err == nil {
		t.Error("a damaged module was compiled")
	}
	want := []string{"false true false", "true false false", "true false false", "false true true"} // cached, took time, failed
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
