package command_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/command"
)

// TestProgramsKeepLittle: what a program keeps in memory is what it says, also if a small file
// makes much of its definitions.
func TestProgramsKeepLittle(t *testing.T) {
	var instances strings.Builder
	for i := range 450 {
		fmt.Fprintf(&instances, `(instance $i%d (instantiate $C)) (export "x%d" (instance $i%d))`, i, i, i)
	}
	wasm, err := componentengine.Binary(`(component
		(component $C (component $D) (export "d" (component $D)) ` + strings.Repeat(`(type (list u8))`, 390) + `)` +
		instances.String() + `
		(core module $M (func (export "run") (result i32) (i32.const 0)))
		(core instance $m (instantiate $M))
		(func $run (result (result)) (canon lift (core func $m "run")))
		(instance $cli (export "run" (func $run)))
		(export "wasi:cli/run@0.2.0" (instance $cli)))`)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p, err := command.Load(wasm)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	const perWork = 128
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > int64(p.Work())*perWork || kept > 4<<20 {
		t.Errorf("a program of %d bytes keeps %d bytes after %d evaluated definitions", len(wasm), kept, p.Work())
	}
	runtime.KeepAlive(p)
	runtime.KeepAlive(wasm)
}
