package wasmtime

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestLargeModulesAreNotInMemory: a module of 64 MiB is not copied into the memory of this process
// when it is compiled or loaded. The process never takes more than a quarter of that size.
func TestLargeModulesAreNotInMemory(t *testing.T) {
	const size = 64 << 20
	file := generated{data: size}.file(t)
	digest := guests.Digest(t, file)
	dir := t.TempDir()
	c := compilerOf(t, dir, self()...)
	if grown := growth(t, func() {
		if err := c.Compile(t.Context(), "", digest, file); err != nil {
			t.Fatal(err)
		}
	}); grown > size/4 {
		t.Errorf("compiling takes %d MiB", grown>>20)
	}
	e := newWorkerEngine(t, dir)
	var m *module
	if grown := growth(t, func() {
		var err error
		if m, err = e.modules.get(t.Context(), wantedCommand(digest, file), maxMemory); err != nil {
			t.Fatal(err)
		}
	}); grown > size/4 {
		t.Errorf("loading takes %d MiB", grown>>20)
	}
	if info, err := os.Stat(cached(t, dir)[0]); err != nil || m.codeSize != info.Size() || m.codeSize < size {
		t.Errorf("it is told to have %d bytes of code, and the file is %v, %v", m.codeSize, info, err)
	}
	e.modules.release(m)
	if left := mapped(t, dir); len(left) != 0 {
		t.Errorf("nothing runs it, and it is more than may be idle: mapped are %v", left)
	}
}

// growth returns the largest increase of this process's memory during do, in bytes.
func growth(t *testing.T, do func()) int64 {
	t.Helper()
	before := int64(memoryNow(t)["VmRSS"])
	// The kernel measures the peak from here on (man 5 proc_pid_clear_refs).
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	do()
	return (int64(memoryNow(t)["VmHWM"]) - before) << 10
}

// TestCodeIsMapped: compiled code is in memory as pages of its file, which cannot be written. A
// guest continues after the file was removed.
// docs/security.md: "Compiled code is mapped read-only from its file"
// docs/security.md: "files are never written to again, only removed."
func TestCodeIsMapped(t *testing.T) {
	dir := t.TempDir()
	file := guests.Build(t, "kitchen")
	e := newCompilingEngine(t, func(c *Config) { c.CacheDir = dir })
	r := start(t, e, file, runtime.Spec{Command: runtime.Command{Args: []string{"kitchen", "sleep"}}})
	path := cached(t, dir)[0]
	size, code := 0, false
	for line := range strings.Lines(read(t, "/proc/self/maps")) {
		var from, to uint64
		var perms string
		if !strings.Contains(line, path) {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &perms); err != nil {
			t.Fatal(err)
		}
		if perms[1] == 'w' && !strings.HasPrefix(perms, "rw-p") || strings.HasPrefix(perms, "rwx") {
			t.Errorf("mapped to be written: %s", line)
		}
		if perms == "r-xp" {
			code = true
		}
		if perms[1] != 'w' {
			size += int(to - from)
		}
	}
	if info, err := os.Stat(path); err != nil || !code || int64(size) < info.Size() {
		t.Errorf("%d bytes are mapped read-only, code among them: %t; the file is %v, %v", size, code, info, err)
	}
	mapped, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	before, err := mapped.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := RemoveCompiled(dir, guests.Digest(t, file)); err != nil {
		t.Fatal(err)
	}
	again := start(t, e, file, runtime.Spec{Command: runtime.Command{Args: []string{"kitchen", "sleep"}}})
	for _, r := range []*guestRun{r, again} {
		r.process.Stop(0)
		r.wait()
	}
	next := start(t, newCompilingEngine(t, func(c *Config) { c.CacheDir = dir }), file, runtime.Spec{Command: runtime.Command{Args: []string{"kitchen", "sleep"}}})
	next.process.Stop(0)
	next.wait()
	after, err := mapped.Stat()
	if err != nil || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the file that was mapped was %v, and is %v: %v", before, after, err)
	}
	if now, err := os.Stat(path); err != nil || os.SameFile(now, before) {
		t.Errorf("the code was written into the same file: %v", err)
	}
}

// TestCodeThatMayNotBeMapped: from a disk that is mounted noexec, the engine copies the code.
func TestCodeThatMayNotBeMapped(t *testing.T) {
	e := newModuleEngine(t, t.TempDir())
	file := filepathTiny(t)
	digest := guests.Digest(t, file)
	if err := e.modules.compiler.Compile(t.Context(), "", digest, file); err != nil {
		t.Fatal(err)
	}
	f, err := e.modules.disk.Open(digest)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, mayMap := range []bool{true, false} {
		m, err := loadCode(e.native, f, mayMap)
		if err != nil {
			t.Fatal(err)
		}
		if is := mapped(t, e.cfg.CacheDir); len(is) > 0 != mayMap {
			t.Errorf("mapped are %v", is)
		}
		m.Close()
	}
}

// docs/security.md: "A module above [`--max-module-size`](configuration.md#images) is refused."
func TestModulesAreBounded(t *testing.T) {
	file := generated{data: 2000}.file(t)
	digest := guests.Digest(t, file)
	for _, c := range []struct {
		limit int64
		fits  bool
	}{{1000, false}, {1 << 20, true}, {0, true}} {
		compiler, err := NewCompiler(Config{CacheDir: t.TempDir(), Log: testLog(t), MaxModuleSize: c.limit})
		if err != nil {
			t.Fatal(err)
		}
		err = compiler.Compile(t.Context(), "", digest, file)
		compiler.Close()
		if c.fits != (err == nil) || !c.fits && (!errors.Is(err, ErrModuleTooLarge) || !strings.Contains(err.Error(), "may have 1000 (--max-module-size)")) {
			t.Errorf("limit %d: %v", c.limit, err)
		}
	}
	large := filepath.Join(t.TempDir(), "large.wasm")
	testfiles.Write(t, large, "\x00asm\x01\x00\x00\x00")
	if err := os.Truncate(large, runtime.DefaultMaxModule+1); err != nil {
		t.Fatal(err)
	}
	if err := compilerOf(t, t.TempDir(), self()...).Compile(t.Context(), "", digest, large); !errors.Is(err, ErrModuleTooLarge) {
		t.Errorf("without a limit of the settings: %v", err)
	}
}

// TestTheCompilerHasNothing: the compiler has no environment and only its three files. Descriptor 3
// is the folder that the shell reads.
// docs/security.md: "Modules are compiled in a process of their own, which has no environment and
// three open files: the module, its compiled code, and a pipe for an error."
func TestTheCompilerHasNothing(t *testing.T) {
	t.Setenv("SECRET", "word")
	if err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil { // files that the tests' parent left open
		t.Fatal(err)
	}
	c := compilerOf(t, t.TempDir(), "/bin/sh", "-c", `cd /proc/self/fd; read -r env </proc/self/environ; echo fds * env $env. >&2; exit 65`)
	file := filepathTiny(t)
	if err := c.Compile(t.Context(), "", guests.Digest(t, file), file); err == nil || !strings.Contains(err.Error(), "fds 0 1 2 3 env .") {
		t.Errorf("it has %v", err)
	}
}
