package wasmtime

import (
	"errors"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
)

// TestCompileParts: the core modules of a component are compiled by processes, once each, and an
// engine that never compiles loads them.
func TestCompileParts(t *testing.T) {
	dir := t.TempDir()
	c, runs := countingCompiler(t, dir, nil)
	p := threeParts(t)
	only, err := New(Config{CacheDir: dir, LoadOnly: true, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = only.Close() })
	if _, err := only.modules.plan(t.Context(), p, maxMemory, false); !errors.Is(err, runtime.ErrNotCompiled) {
		t.Errorf("before: %v", err)
	}
	for range 2 {
		for _, wasm := range p.Modules {
			if err := c.compileWanted(t.Context(), "pod", wantedPart(wasm)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if runs() != 3 {
		t.Errorf("%d processes compiled", runs())
	}
	r := newRig(t, only, p)
	r.ran(0, silent).call(t, threePartsRun)
}

// TestPartsAreBounded: the modules of a component are not too many, and together no larger than one
// module may be.
func TestPartsAreBounded(t *testing.T) {
	large := make([]byte, 200)
	if err := checkParts([][]byte{large, large}, 250); !errors.Is(err, ErrModuleTooLarge) {
		t.Errorf("two modules: %v", err)
	}
	if err := checkParts([][]byte{large}, 250); err != nil {
		t.Errorf("one module: %v", err)
	}
	if err := checkParts(make([][]byte, maxParts+1), 250); err == nil || !strings.Contains(err.Error(), "257 core modules, and may have 256") {
		t.Errorf("too many: %v", err)
	}
}

// TestCommandsAndPartsAreKeptApart: the same module may be both, and becomes other code.
func TestCommandsAndPartsAreKeptApart(t *testing.T) {
	e := newEngine(t)
	text := `(module (memory (export "memory") 1) (func (export "_start")) (func (export "other") (param i32)))`
	wasm := parts(t, text)[0]
	if codecache.PartDigestOf(wasm) == codecache.DigestOf(wasm) {
		t.Error("both have one digest")
	}
	for range 2 {
		if exit := start(t, e, wat(t, text), runtime.Spec{}).wait(); exit.Code != 0 {
			t.Errorf("exit %+v", exit)
		}
		r := newRig(t, e, single(wasm, nil, "other"))
		r.ran(0, silent).call(t, 0, 1)
	}
}
