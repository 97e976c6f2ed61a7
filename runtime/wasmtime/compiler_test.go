package wasmtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// newCompilingEngine makes an engine that has its own cache and compiles in a child process.
func newCompilingEngine(t testing.TB, change func(*Config)) *Engine {
	t.Helper()
	cfg := Config{CacheDir: t.TempDir(), Log: testLog(t), Compiler: self()}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func TestAChildCompiles(t *testing.T) {
	e := newCompilingEngine(t, nil)
	if exit := start(t, e, filepathTiny(t), runtime.Spec{Command: runtime.Command{Args: []string{"tiny", "x"}}}).wait(); exit.Code != 0 {
		t.Errorf("exit %+v", exit)
	}
	if files := cached(t, e.cfg.CacheDir); len(files) != 1 {
		t.Errorf("cache holds %v", files)
	}
	file := filepath.Join(t.TempDir(), "damaged.wasm")
	testfiles.Write(t, file, "\x00asm\x01\x00\x00\x00junk")
	if _, err := tryStart(t, e, file, runtime.Spec{}); err == nil || !strings.Contains(err.Error(), ": compiling: ") || strings.Contains(err.Error(), "exit status") {
		t.Errorf("a damaged module: %v", err)
	}
}

// docs/security.md: "The process that compiles has a bound of memory"
func TestCompilationIsBounded(t *testing.T) {
	file := guests.Build(t, "kitchen")
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"memory", func(c *Config) { c.CompileMemory = 24 << 20 }, "compiling: took more than 24 MiB of memory"},
		{"time", func(c *Config) { c.CompileTime = 20 * time.Millisecond }, "compiling: took more than 100ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tryStart(t, newCompilingEngine(t, c.change), file, runtime.Spec{})
			if !errors.Is(err, ErrCompileLimit) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

// TestNobodyWaitsForTheCompiler: a compilation ends only when all callers that wait for it have
// given up.
func TestNobodyWaitsForTheCompiler(t *testing.T) {
	e := newCompilingEngine(t, func(c *Config) { c.Compiler = []string{"/bin/sh", "-c", "exec sleep 1000"} })
	file := filepathTiny(t)
	digest := guests.Digest(t, file)
	first, giveUp := context.WithCancel(t.Context())
	second, giveUpToo := context.WithCancel(t.Context())
	errs := make(chan error, 2)
	for _, ctx := range []context.Context{first, second} {
		go func() {
			_, err := e.modules.get(ctx, wantedCommand(digest, file), maxMemory)
			errs <- err
		}()
	}
	eventually.True(t, "the compiler runs", func() bool { return len(children(t)) == 1 && users(e, digest) == 2 })
	giveUp()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up gets %v", err)
	}
	if n := len(children(t)); n != 1 {
		t.Errorf("%d compilers while one waits", n)
	}
	giveUpToo()
	<-errs
	eventually.True(t, "the compiler has exited", func() bool { return len(children(t)) == 0 })
}

func users(e *Engine, digest string) int {
	e.modules.mu.Lock()
	defer e.modules.mu.Unlock()
	if s := e.modules.byKey[digest]; s != nil {
		return s.users
	}
	return 0
}

// children returns the child processes of this process.
func children(t testing.TB) []string {
	t.Helper()
	var all []string
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range tasks {
		text, _ := os.ReadFile(file) // the thread may have ended
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

func TestCompilerIsChecked(t *testing.T) {
	for _, argv := range [][]string{{"/nonexistent"}, {t.TempDir()}} {
		if e, err := New(Config{CacheDir: t.TempDir(), Log: testLog(t), Compiler: argv}); err == nil {
			_ = e.Close()
			t.Errorf("New with compiler %q succeeds", argv)
		}
	}
	e := newCompilingEngine(t, func(c *Config) { c.Compiler = []string{"/bin/false"} })
	if _, err := tryStart(t, e, filepathTiny(t), runtime.Spec{}); err == nil || !strings.Contains(err.Error(), "the compiler failed: exit status 1") {
		t.Errorf("a compiler that fails: %v", err)
	}
	e = newCompilingEngine(t, func(c *Config) { c.Compiler = []string{"/bin/echo"} })
	if _, err := tryStart(t, e, filepathTiny(t), runtime.Spec{}); err == nil || !strings.Contains(err.Error(), "using the compiler's result") {
		t.Errorf("a compiler that writes something else: %v", err)
	}
	if files := cached(t, e.cfg.CacheDir); len(files) != 0 {
		t.Errorf("which is kept: %v", files)
	}
}

func TestStaleCodeIsRemoved(t *testing.T) {
	dir := t.TempDir()
	old, young := filepath.Join(dir, "wasmtime-v1"), filepath.Join(dir, "wasmtime-v2")
	testfiles.Write(t, filepath.Join(old, "code.cwasm"), "old")
	testfiles.Write(t, filepath.Join(young, "code.cwasm"), "young")
	testfiles.Write(t, filepath.Join(dir, "other", "file"), "not ours")
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(old, "code.cwasm"), long, long); err != nil {
		t.Fatal(err)
	}
	newModuleEngine(t, dir)
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("code of another version is still there: %v", err)
	}
	for _, path := range []string{young, filepath.Join(dir, "other", "file")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// docs/security.md: "only what this agent's compilers wrote is mapped"
func TestCacheOfOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	newModuleEngine(t, dir)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a folder for all has mode %v, %v", info.Mode(), err)
	}
}

// BenchmarkCompile compiles a Go program of 3 MB in a separate process.
func BenchmarkCompile(b *testing.B) {
	file := guests.Build(b, "hello")
	digest := guests.Digest(b, file)
	c, err := NewCompiler(Config{CacheDir: b.TempDir(), Log: testLog(b), Compiler: self()})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		if err := c.Compile(b.Context(), "", digest, file); err != nil {
			b.Fatal(err)
		}
		c.drop(digest)
	}
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &u); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(u.Maxrss)/1024, "MB-peak")
	b.ReportMetric(float64(u.Utime.Nano()+u.Stime.Nano())/1e9/float64(b.N), "cpu-s/op")
}
