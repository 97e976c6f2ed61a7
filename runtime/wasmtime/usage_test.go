package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestCommandsCountForTheirRun: the usage of a command counts for its run until the command has
// ended. Its processor time also counts after that.
func TestCommandsCountForTheirRun(t *testing.T) {
	e := newEngine(t)
	waits := wat(t, `(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
		(memory (export "memory") 1) (func (export "_start")
		(i64.store (i32.const 24) (i64.const 3600000000000))
		(i32.store (i32.const 16) (i32.const 1))
		(drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))`)
	of := runtime.Origin{Pod: "u1", Container: "a"}
	run := start(t, e, waits, runtime.Spec{Of: of})
	alone := e.Stats(t.Context())[t.Name()]
	if alone.Memory != wasmPage || alone.CPU <= 0 || alone.CPU > time.Second {
		t.Fatalf("alone: %+v", alone)
	}
	command := start(t, e, wat(t, `(module (memory (export "memory") 5) (func (export "_start") (loop $l (br $l))))`),
		runtime.Spec{Of: runtime.Origin{Pod: "u1", Beside: t.Name()}})
	const spun = 30 * time.Millisecond
	eventually.True(t, "the command counts", func() bool {
		all, own := e.Stats(t.Context()), command.process.Stats().Memory
		return len(all) == 1 && own >= 5*wasmPage && all[t.Name()].Memory == wasmPage+own && all[t.Name()].CPU > alone.CPU+spun
	})
	command.process.Stop(0)
	command.wait()
	after := e.Stats(t.Context())[t.Name()]
	if after.Memory != wasmPage || after.CPU < alone.CPU+spun || after.CPU < command.process.Stats().CPU {
		t.Errorf("after the command: %+v", after)
	}
	run.process.Stop(0)
	run.wait()
	if all := e.Stats(t.Context()); len(all) != 0 {
		t.Errorf("after its end: %+v", all)
	}
}

// TestCommandsEndWithTheirRun: a command always ends before its run does, and no command starts
// after that. Otherwise the command would have the container's whole limit, and the container's
// next run would have it again.
func TestCommandsEndWithTheirRun(t *testing.T) {
	e := newEngine(t)
	file := wat(t, `(module (memory (export "memory") 5) (func (export "_start") (loop $l (br $l))))`)
	digest, root := guests.Digest(t, file), t.TempDir()
	begin := func(id, beside string) (runtime.Guest, error) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return e.Start(ctx, runtime.Spec{ID: id, Of: runtime.Origin{Pod: "u1", Beside: beside}, Module: file, Digest: digest,
			Command: runtime.Command{Args: []string{"guest"}}, Mounts: []runtime.Mount{{Host: root, Guest: "/"}}, MemoryLimit: 64 << 20}, runtime.Streams{})
	}
	ended := func(p runtime.Guest) bool {
		select {
		case <-p.Done():
			return true
		default:
			return false
		}
	}
	for i := range 40 {
		id := fmt.Sprint("run ", i)
		run, err := begin(id, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := begin("early", id); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var commands []runtime.Guest
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for {
					s, err := begin("command", id)
					if errors.Is(err, errNoRun) {
						return
					}
					if err != nil && !strings.Contains(err.Error(), "its container has taken") {
						t.Error(err)
						return
					}
					mu.Lock()
					if err == nil {
						commands = append(commands, s)
					}
					mu.Unlock()
				}
			})
		}
		run.Stop(0)
		<-run.Done()
		if p := run.(*guest); p.account.owners.Load() != 0 {
			t.Errorf("%d go on with the account of a run that has ended", p.account.owners.Load())
		}
		wg.Wait()
		for _, s := range commands {
			if !ended(s) || s.Exit().Code != 137 {
				t.Error("a command goes on")
			}
		}
		run.Forget()
	}
}

// TestFailedStartsLeaveNothing: a command whose start fails, at any point, returns everything that
// it has taken.
func TestFailedStartsLeaveNothing(t *testing.T) {
	e := newEngine(t)
	run := start(t, e, wat(t, `(module (memory (export "memory") 2) (func (export "_start") (loop $l (br $l))))`), runtime.Spec{MemoryLimit: 32 << 20})
	account := run.process.(*guest).account
	before := account.used()
	ends := map[string]string{
		"data out of bounds":     `(memory (export "memory") 100) (data (i32.const 6553599) "ab")`,
		"elements out of bounds": `(memory (export "memory") 100) (table 1000 funcref) (elem (i32.const 1000) func $f)`,
		"its start section":      `(memory (export "memory") 1) (func $s (drop (memory.grow (i32.const 100))) unreachable) (start $s)`,
		"more than there is":     `(memory (export "memory") 511)`,
	}
	if supported() {
		ends["no memory for its objects"] = `(memory (export "memory") 100) (type $a (array (mut i64))) (global (ref $a) (array.new_default $a (i32.const 10000000)))`
	}
	for name, text := range ends {
		file := wat(t, `(module `+text+` (func $f (export "_start")))`)
		spec := runtime.Spec{Of: runtime.Origin{Pod: "u1", Beside: t.Name()}, MemoryLimit: 32 << 20}
		for range 200 {
			if _, err := tryStart(t, e, file, spec); err == nil {
				t.Fatalf("%s: it starts", name)
			}
		}
		if got := account.used(); got != before {
			t.Errorf("%s: %d bytes are taken, and %d before", name, got, before)
		}
	}
	run.process.Stop(0)
	run.wait()
}
