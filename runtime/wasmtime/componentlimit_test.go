package wasmtime

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

// commandOf is a command of WASI 0.2 that imports nothing. body is the function run.
func commandOf(body string) string {
	return `(component (core module $main (memory 1) (func (export "run") (result i32) ` + body + `))
		(core instance $i (instantiate $main))
		(func $run (result (result)) (canon lift (core func $i "run")))
		(instance $cli (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $cli)))`
}

const growOrTrap = `(loop $l (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)) (br $l)) (i32.const 0)`

// twoStores is a command that has two components with a memory each, which it grows in turn. The
// third one has no memory: a component may not call one that it contains.
const twoStores = `(component
	(component $inner
		(core module $m (memory 1) (func (export "grow") (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))))
		(core instance $i (instantiate $m))
		(func $grow (canon lift (core func $i "grow")))
		(export "grow" (func $grow)))
	(component $main
		(import "a" (func $a)) (import "b" (func $b))
		(core func $a (canon lower (func $a))) (core func $b (canon lower (func $b)))
		(core module $main (import "host" "a" (func $a)) (import "host" "b" (func $b))
			(func (export "run") (result i32) (loop $l (call $a) (call $b) (br $l)) (i32.const 0)))
		(core instance $i (instantiate $main (with "host" (instance (export "a" (func $a)) (export "b" (func $b))))))
		(func $run (result (result)) (canon lift (core func $i "run")))
		(export "run" (func $run)))
	(instance $a (instantiate $inner)) (instance $b (instantiate $inner))
	(instance $cli (instantiate $main (with "a" (func $a "grow")) (with "b" (func $b "grow"))))
	(export "wasi:cli/run@0.2.0" (instance $cli)))`

// TestMemoryLimitOfComponents: the limit holds for all memories of a guest together, and who passes
// it is told apart from who only traps.
func TestMemoryLimitOfComponents(t *testing.T) {
	e := newEngine(t)
	const limit = 64 * wasmPage
	for name, c := range map[string]struct {
		text   string
		reason runtime.Reason
		code   int32
	}{
		"one memory":   {commandOf(growOrTrap), runtime.OOMKilled, 137},
		"two stores":   {twoStores, runtime.OOMKilled, 137},
		"a trap":       {commandOf(`(drop (memory.grow (i32.const 8))) unreachable`), runtime.Error, 134},
		"err":          {commandOf(`(drop (memory.grow (i32.const 8))) (i32.const 1)`), runtime.Error, 1},
		"err when oom": {commandOf(`(drop (memory.grow (i32.const 800))) (i32.const 1)`), runtime.OOMKilled, 137},
		"ok when oom":  {commandOf(`(drop (memory.grow (i32.const 800))) (i32.const 0)`), runtime.Completed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, e, wat(t, c.text), runtime.Spec{MemoryLimit: limit})
			exit := r.wait()
			if exit.Reason != c.reason || exit.Code != c.code {
				t.Errorf("exit %+v, want %s", exit, c.reason)
			}
			if c.reason == runtime.OOMKilled && !strings.HasPrefix(exit.Message, "out of memory: the limit is 4194304 bytes") {
				t.Errorf("message %q", exit.Message)
			}
			if used := r.process.Stats().Memory; used > limit {
				t.Errorf("it used %d bytes", used)
			}
		})
	}
	r := start(t, e, kitchens(t)["wrapped"], runtime.Spec{MemoryLimit: 64 << 20, Command: runtime.Command{Args: []string{"kitchen", "alloc", "128"}}})
	if exit := r.wait(); exit.Reason != runtime.OOMKilled || exit.Code != 137 {
		t.Errorf("a Go program: exit %+v", exit)
	}
	if _, err := tryStart(t, e, wat(t, commandOf(`i32.const 0`)), runtime.Spec{MemoryLimit: wasmPage / 2}); err == nil || !strings.Contains(err.Error(), "limit of 32768 bytes") {
		t.Errorf("started with less than it needs: %v", err)
	}
}

// TestResizeOfComponents: a component whose limits change while it runs has the new ones.
func TestResizeOfComponents(t *testing.T) {
	e := newEngine(t)
	t.Run("memory", func(t *testing.T) {
		r := start(t, e, wat(t, commandOf(`(loop $l (br_if $l (i32.eq (memory.grow (i32.const 8)) (i32.const -1)))) (i32.const 0)`)),
			runtime.Spec{MemoryLimit: 4 * wasmPage})
		eventually.True(t, "the guest has run", func() bool { return r.process.Stats().CPU > processor.Epoch })
		resize(t, r.process, runtime.Limits{Memory: 9 * wasmPage})
		if exit := r.wait(); exit.Code != 0 {
			t.Errorf("exit %+v", exit)
		}
	})
	for _, version := range []string{"0.2", "0.3"} {
		t.Run("processor time "+version, func(t *testing.T) {
			spec := runtime.Spec{CPULimit: 1, Command: runtime.Command{Args: []string{"kitchen", "loop"}}}
			r := start(t, e, kitchens(t)[version], spec)
			eventually.True(t, "the guest is held back", func() bool { return r.process.Stats().CPU >= processor.Epoch })
			resize(t, r.process, runtime.Limits{})
			eventually.True(t, "the guest runs freely", func() bool { return r.process.Stats().CPU > 200*time.Millisecond })
			resize(t, r.process, runtime.Limits{CPU: 100})
			before := r.process.Stats()
			eventually.True(t, "the guest is held back", func() bool { return r.process.Stats().Throttled > before.Throttled+200*time.Millisecond })
			r.process.Stop(0)
			if exit := r.wait(); exit.Code != 137 {
				t.Errorf("exit %+v", exit)
			}
		})
	}
}

// TestStatsOfComponents: use is seen while a component runs and after its end. One that waits uses
// no processor time.
func TestStatsOfComponents(t *testing.T) {
	e := newEngine(t)
	r := start(t, e, wat(t, commandOf(`(drop (memory.grow (i32.const 4))) (loop $l (br $l)) (i32.const 0)`)), runtime.Spec{})
	used := func() bool {
		s := r.process.Stats()
		return s.Memory == 5*wasmPage && s.CPU > 20*time.Millisecond
	}
	eventually.True(t, "its use is seen", used)
	r.process.Stop(0)
	r.wait()
	if !used() {
		t.Errorf("after its end: %+v", r.process.Stats())
	}
	for _, version := range []string{"0.2", "0.3"} {
		r := start(t, e, kitchens(t)[version], runtime.Spec{Command: runtime.Command{Args: []string{"kitchen", "sleep"}}})
		r.says("sleeping")
		if s := r.process.Stats(); s.Memory < wasmPage || s.CPU <= 0 || s.CPU > time.Second {
			t.Errorf("%s, asleep: %+v", version, s)
		}
		r.process.Stop(0)
		r.wait()
	}
}

// TestComponentsBesideARun: a command in a container of a component is an instance of its own, and
// what it uses counts for the container.
func TestComponentsBesideARun(t *testing.T) {
	e := newEngine(t)
	for version, file := range kitchens(t) {
		t.Run(version, func(t *testing.T) {
			in, feed := io.Pipe()
			defer func() { _ = feed.Close() }()
			run := startWith(t, e, file, runtime.Spec{Of: runtime.Origin{Pod: "u1", Container: "a"}, Command: runtime.Command{Args: []string{"kitchen", "cat"}}},
				runtime.Streams{Stdin: in})
			if _, err := io.WriteString(feed, "fed\n"); err != nil {
				t.Fatal(err)
			}
			run.says("fed\n")
			alone := e.Stats(t.Context())[t.Name()].Memory
			beside := runtime.Spec{Of: runtime.Origin{Pod: "u1", Beside: t.Name()}}
			beside.Args = []string{"kitchen", "args", "beside"}
			command := start(t, e, file, beside)
			exit := command.wait()
			if out, errs := command.screen.text(); exit.Code != 0 || out != "kitchen\nargs\nbeside\n" || errs != "" {
				t.Errorf("exit %+v, stdout %q, stderr %q", exit, out, errs)
			}
			// All guests of the test have one ID. The engine must have forgotten the first command.
			eventually.True(t, "only the run is there", func() bool {
				e.mu.Lock()
				defer e.mu.Unlock()
				return len(e.running) == 1
			})
			beside.Args = []string{"kitchen", "sleep"}
			command = start(t, e, file, beside)
			command.says("sleeping")
			all := e.Stats(t.Context())
			if own := command.process.Stats().Memory; len(all) != 1 || own < wasmPage || all[t.Name()].Memory != alone+own {
				t.Errorf("a run of %d bytes with a command of %d bytes: %+v", alone, own, all)
			}
			run.process.Stop(0)
			if exit := command.wait(); exit.Code != 137 {
				t.Errorf("the command ended with %+v", exit)
			}
			run.wait()
		})
	}
}
