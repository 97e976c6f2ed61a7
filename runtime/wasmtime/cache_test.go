package wasmtime

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
)

var update = flag.Bool("update", false, "write hack/guests/tiny.wasm again")

func TestTinyIsCurrent(t *testing.T) {
	const source, built = "../../hack/guests/tiny.wat", "../../hack/guests/tiny.wasm"
	want, err := wasmtimego.Wat2Wasm(read(t, source))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(built, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(want, guests.Tiny(t)) {
		t.Error("tiny.wasm does not match tiny.wat: run `go generate ./hack/guests`")
	}
}

func TestTiny(t *testing.T) {
	e := newEngine(t)
	file := filepathTiny(t)
	for _, c := range []struct {
		args []string
		code int32
	}{{[]string{"tiny", "x"}, 0}, {[]string{"tiny", "x", "y"}, 1}} {
		r := start(t, e, file, runtime.Spec{Command: runtime.Command{Args: c.args}})
		exit := r.wait()
		if out, _ := r.screen.text(); exit.Code != c.code || out != "tiny\n" {
			t.Errorf("%v: exit %+v, stdout %q", c.args, exit, out)
		}
	}
	r := start(t, e, file, runtime.Spec{})
	r.says("tiny")
	r.process.Stop(0)
	r.wait()
}

func filepathTiny(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tiny.wasm")
	if err := os.WriteFile(file, guests.Tiny(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// newModuleEngine has its own cache.
func newModuleEngine(t *testing.T, dir string) *Engine {
	t.Helper()
	e, err := New(Config{CacheDir: dir, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// whole returns why a module's compiled code is not available, or nil.
func whole(c *codecache.Cache, digest string) error {
	f, err := c.Open(digest)
	if err == nil {
		err = f.Close()
	}
	return err
}

func cached(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestCompiledCodeIsKept(t *testing.T) {
	dir, file := t.TempDir(), filepathTiny(t)
	digest := guests.Digest(t, file)
	e := newModuleEngine(t, dir)
	start(t, e, file, runtime.Spec{Command: runtime.Command{Args: []string{"tiny", "x"}}}).wait()
	files := cached(t, dir)
	if len(files) != 1 || filepath.Base(files[0]) != strings.TrimPrefix(digest, "sha256:")+".cwasm" {
		t.Fatalf("cache holds %v", files)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	// Without the module's file, a new engine can get the code only from the cache.
	e = newModuleEngine(t, dir)
	m, err := e.modules.get(t.Context(), wantedCommand(digest, "/nonexistent"), maxMemory)
	if err != nil {
		t.Fatalf("from the cache: %v", err)
	}
	e.modules.release(m)
}

// docs/security.md: "each file's checksum is compared, against damage"
func TestDamagedCodeIsCompiledAnew(t *testing.T) {
	file := filepathTiny(t)
	digest := guests.Digest(t, file)
	dir := t.TempDir()
	e := newModuleEngine(t, dir)
	start(t, e, file, runtime.Spec{Command: runtime.Command{Args: []string{"tiny", "x"}}}).wait()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	path := cached(t, dir)[0]
	good := []byte(read(t, path))
	var foreign bytes.Buffer
	if err := codecache.Write(&foreign, cacheKey(), digest, []byte("\x7fELF this is no code of the engine"), nil); err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{
		"empty":     {},
		"truncated": good[:len(good)/2],
		"flipped":   flipped,
		"foreign":   foreign.Bytes(),
		"mark only": good[len(good)-8:],
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			e := newModuleEngine(t, dir)
			r := start(t, e, file, runtime.Spec{Command: runtime.Command{Args: []string{"tiny", "x"}}})
			if exit := r.wait(); exit.Code != 0 {
				t.Errorf("exit %+v", exit)
			}
			if err := whole(e.modules.disk, digest); err != nil {
				t.Errorf("the file was not replaced: %v", err)
			}
		})
	}
}

func TestOneCompilationForAll(t *testing.T) {
	dir := t.TempDir()
	e := newModuleEngine(t, dir)
	file := guests.Build(t, "hello")
	digest := guests.Digest(t, file)

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.modules.get(gone, wantedCommand(digest, file), maxMemory); !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up gets %v", err)
	}
	var wg sync.WaitGroup
	got := make([]*module, 20)
	for i := range got {
		wg.Go(func() {
			m, err := e.modules.get(t.Context(), wantedCommand(digest, file), maxMemory)
			if err != nil {
				t.Error(err)
			}
			got[i] = m
		})
	}
	wg.Wait()
	for _, m := range got {
		if m != got[0] {
			t.Fatal("two compilations of one module")
		}
		e.modules.release(m)
	}
	if files := cached(t, dir); len(files) != 1 {
		t.Errorf("cache holds %v", files)
	}
}

func TestIdleModulesAreBounded(t *testing.T) {
	e := newModuleEngine(t, t.TempDir())
	for i := range maxIdle + 5 {
		file := wat(t, `(module (memory (export "memory") `+string(rune('1'+i%9))+`) (data (i32.const `+strings.Repeat("1", 1+i%4)+`) "x") (func (export "_start")`+strings.Repeat("(nop)", i)+`))`)
		start(t, e, file, runtime.Spec{}).wait()
	}
	e.modules.mu.Lock()
	n := len(e.modules.byKey)
	e.modules.mu.Unlock()
	if n > maxIdle {
		t.Errorf("%d modules in memory", n)
	}
}

func TestEngineVersionIsTheLinkedOne(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/bytecodealliance/wasmtime-go/v39").Output()
	if err != nil {
		t.Fatal(err)
	}
	if v := strings.TrimSpace(string(out)); v != "v"+bundledVersion {
		t.Errorf("go.mod has %s, settings.go %s", v, bundledVersion)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []Config{{CacheDir: "relative", Log: testLog(t)}, {CacheDir: t.TempDir()}, {CacheDir: "/dev/null/x", Log: testLog(t)}} {
		if e, err := New(cfg); err == nil {
			_ = e.Close()
			t.Errorf("New(%+v) succeeds", cfg)
		}
	}
}
