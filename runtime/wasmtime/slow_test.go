package wasmtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/compile"
)

// TestSmallModulesDoNotWait: a small module is compiled at once, even while slow modules use all
// slots of their lane and others wait for these slots.
// docs/security.md: "Small modules do not wait for large ones"
func TestSmallModulesDoNotWait(t *testing.T) {
	c := compilerOf(t, t.TempDir(), self()...)
	c.queue = compile.NewQueue(2)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 3)
	for i, pod := range []string{"slow1", "slow2", "slow3"} {
		slow := generated{functions: 4000, stores: 200, seed: i}.file(t)
		go func() { errs <- c.Compile(ctx, pod, guests.Digest(t, slow), slow) }()
	}
	full := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		running, waiting := c.queue.Count()
		return running == 2 && waiting == 1
	}
	eventually.True(t, "two compilers run, and one waits", full)
	tiny := filepathTiny(t)
	if err := c.Compile(t.Context(), "quick", guests.Digest(t, tiny), tiny); err != nil {
		t.Fatal(err)
	}
	if !full() {
		t.Error("it came after a slow one")
	}
	cancel()
	for range 3 {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	eventually.True(t, "no compiler is left", func() bool { return len(children(t)) == 0 })
}

// TestAPodHasOneCompiler: a pod's second compilation waits for its first, and does not delay
// another pod that needs the same module.
// docs/security.md: "one module of a pod is compiled at a time."
func TestAPodHasOneCompiler(t *testing.T) {
	c := compilerOf(t, t.TempDir(), "/bin/sh", "-c", "exec sleep 1000")
	c.queue = compile.NewQueue(2)
	first, second := generated{seed: 1, stores: 1, functions: 1}.file(t), generated{seed: 2, stores: 1, functions: 1}.file(t)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 3)
	ask := func(pod, file string) {
		go func() { errs <- c.Compile(ctx, pod, guests.Digest(t, file), file) }()
	}
	ask("greedy", first)
	eventually.True(t, "the compiler of the first module runs", func() bool { return len(children(t)) == 1 })
	ask("greedy", second)
	eventually.True(t, "the second module is in the queue", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, waiting := c.queue.Count()
		return waiting == 1
	})
	if n := len(children(t)); n != 1 {
		t.Errorf("%d compilers of one pod", n)
	}
	ask("other", second)
	eventually.True(t, "the compiler of the second module runs for another pod", func() bool { return len(children(t)) == 2 })
	cancel()
	for range 3 {
		<-errs
	}
}

// countingCompiler makes a Compiler whose program writes each of its runs to a file.
func countingCompiler(t *testing.T, dir string, change func(*Config)) (c *Compiler, runs func() int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	count := filepath.Join(t.TempDir(), "count")
	testfiles.Write(t, count, "")
	cfg := Config{CacheDir: dir, Log: testLog(t), Compiler: []string{"/bin/sh", "-c", `echo >>` + count + `; exec "$0" ` + CompileCommand + ` "$@"`, self}}
	if change != nil {
		change(&cfg)
	}
	if c, err = NewCompiler(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, func() int { return len(read(t, count)) }
}

// hung makes the compiler never end, so that even on a busy machine it has started when its time is
// over.
func hung(c *Config) {
	c.CompileTime = 2 * time.Second
	c.Compiler[2], _, _ = strings.Cut(c.Compiler[2], "exec")
	c.Compiler[2] += "exec sleep 60"
}

// TestRefusedModulesAreRemembered: a module that was refused because of its content is not compiled
// again. One that took too much time or memory is compiled again at each request.
// docs/security.md: "A module that was refused because of its content is not compiled again while
// the agent runs."
func TestRefusedModulesAreRemembered(t *testing.T) {
	damaged := filepath.Join(t.TempDir(), "damaged.wasm")
	testfiles.Write(t, damaged, "\x00asm\x01\x00\x00\x00junk")
	other := filepath.Join(t.TempDir(), "other.wasm")
	testfiles.Write(t, other, "\x00asm\x01\x00\x00\x00more junk")
	good := generated{functions: 50, stores: 50}.file(t)
	for _, one := range []struct {
		name, file, digest string
		change             func(*Config)
		is                 error
		runs               int
	}{
		{name: "invalid", file: damaged, runs: 1},
		{name: "time", file: good, change: hung, is: ErrCompileLimit, runs: 3},
		{name: "memory", file: good, change: func(c *Config) { c.CompileMemory = 1 << 20 }, is: ErrCompileLimit, runs: 3},
		{name: "another file", file: damaged, digest: guests.Digest(t, other), runs: 3},
	} {
		t.Run(one.name, func(t *testing.T) {
			dir := t.TempDir()
			c, runs := countingCompiler(t, dir, one.change)
			if one.digest == "" {
				one.digest = guests.Digest(t, one.file)
			}
			var first string
			for range 3 {
				err := c.Compile(t.Context(), "pod", one.digest, one.file)
				if err == nil || one.is != nil && !errors.Is(err, one.is) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("error %v", err)
				}
				if first == "" {
					first = err.Error()
				}
				if err.Error() != first {
					t.Errorf("first %q, then %q", first, err)
				}
			}
			if runs() != one.runs {
				t.Errorf("compiled %d times, want %d", runs(), one.runs)
			}
			if files := cached(t, dir); len(files) != 0 {
				t.Errorf("which is kept: %v", files)
			}
		})
	}
}
