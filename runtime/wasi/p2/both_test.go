package p2_test

import (
	"context"
	"errors"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3"
	three "github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// both serves a component that imports functions of both versions, as Rust programs for 0.3 do.
type both struct {
	*p2.Host
	three *p3.Host
}

func (b both) Begin(c *canon.Call) context.Context { return b.three.Begin(c) }
func (b both) WASIP3() *three.Host                 { return b.three.WASIP3() }

// TestBothVersions runs a component that gets the seed of both versions, which is the same.
func TestBothVersions(t *testing.T) {
	g := loadWith(t, `(component
		(import "wasi:random/insecure-seed@0.2.4" (instance $two (export "insecure-seed" (func (result (tuple u64 u64))))))
		(import "wasi:random/insecure-seed@0.3.0" (instance $three (export "get-insecure-seed" (func (result (tuple u64 u64))))))
		(core module $Libc (memory (export "memory") 1))
		(core instance $libc (instantiate $Libc))
		(core func $two (canon lower (func $two "insecure-seed") (memory $libc "memory")))
		(core func $three (canon lower (func $three "get-insecure-seed") (memory $libc "memory")))
		(core module $Main (import "" "memory" (memory 1)) (import "" "two" (func $two (param i32))) (import "" "three" (func $three (param i32)))
			(func (export "run") (result i32)
				(call $two (i32.const 16)) (call $three (i32.const 32))
				(i32.and (i64.eq (i64.load (i32.const 16)) (i64.load (i32.const 32)))
					(i64.eq (i64.load (i32.const 24)) (i64.load (i32.const 40))))))
		(core instance $main (instantiate $Main (with "" (instance
			(export "memory" (memory $libc "memory")) (export "two" (func $two)) (export "three" (func $three))))))
		(func (export "run") (result bool) (canon lift (core func $main "run"))))`, typed.Tables{&bindings.Table, &three.Table})
	host, err := wasi.New(wasi.Config{Mounts: []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}, Confined: true})
	if err != nil {
		t.Fatal(err)
	}
	b := both{p2.New(t.Context(), host), p3.New(t.Context(), host)}
	x, err := instance.New(g.program, g.engine, b)
	if err != nil {
		t.Fatal(err)
	}
	var same bool
	if err := x.Call(t.Context(), x.Exports().Func("run"), nil, func(v canon.Value) { same = v.Bool() }); err != nil || !same {
		t.Errorf("the seeds are the same: %v, %v", same, err)
	}
	x.Close()
	if err := errors.Join(b.Close(), b.three.Close(), host.CloseInitial(), host.Close()); err != nil {
		t.Error(err)
	}
}
