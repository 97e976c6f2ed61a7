package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/command"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
)

// TestPartsAreNoComponents: a file of the cache that has the name of a component's core module, and
// says that it is that component, is compiled again. To load it would wait for itself.
func TestPartsAreNoComponents(t *testing.T) {
	dir := t.TempDir()
	wasm, err := os.ReadFile(wat(t, hello))
	if err != nil {
		t.Fatal(err)
	}
	p, err := command.Load(wasm)
	if err != nil {
		t.Fatal(err)
	}
	part := wantedPart(p.Plan().Modules[0])
	path := CompiledPath(dir, part.digest)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(codecache.Write(file, cacheKey(), part.digest, wasm, append(componentMark, "[]"...)), file.Close()); err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{CacheDir: dir, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := e.modules.get(ctx, part, maxMemory)
	if err != nil {
		t.Fatal(err)
	}
	e.modules.release(m)
}

// TestStartsThatGiveUp: many starts of a component that is not compiled yet, of which most give up,
// leave nothing behind that keeps the engine from closing.
func TestStartsThatGiveUp(t *testing.T) {
	e := newEngine(t)
	file := wat(t, hello)
	spec := runtime.Spec{
		ID: "many", Module: file, Digest: guests.Digest(t, file), Command: runtime.Command{Args: []string{"hello"}},
		Mounts: []runtime.Mount{{Host: t.TempDir(), Guest: "/"}},
	}
	var starts sync.WaitGroup
	for i := range 40 {
		starts.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if i%4 > 0 {
				time.AfterFunc(time.Duration(i)*time.Millisecond, cancel)
			}
			mine := spec
			mine.ID = fmt.Sprint(i)
			g, err := e.Start(ctx, mine, runtime.Streams{})
			if err != nil {
				if i%4 == 0 {
					t.Errorf("start %d: %v", i, err)
				}
				return
			}
			if i%2 == 0 {
				<-g.Done()
			}
			g.Stop(0)
			<-g.Done()
		})
	}
	starts.Wait()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
