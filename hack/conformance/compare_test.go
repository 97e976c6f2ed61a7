package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
)

// calls is how many host calls a measured module makes in one run.
const calls = 20_000

// measured are modules whose _start makes the same call again and again. Before that, it opens the
// file that the call needs. A call that fails traps.
var measured = []struct{ name, setup, body string }{
	{"fd_write/4096", create, `(call $check (call $fd_pwrite (local.get $fd) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 16)))`},
	{"fd_write/append", create, `(call $check (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 16)))`},
	{"fd_read/4096", create + fill, `(call $check (call $fd_pread (local.get $fd) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 16)))`},
	{"path_open", create, `(call $check (call $path_open (i32.const 3) (i32.const 1) (i32.const 32) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
		(call $check (call $fd_close (i32.load (i32.const 8))))`},
	{"path_open/deep", create, `(call $check (call $path_open (i32.const 3) (i32.const 1) (i32.const 48) (i32.const 14) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
		(call $check (call $fd_close (i32.load (i32.const 8))))`},
	{"path_filestat_get", create, `(call $check (call $path_filestat_get (i32.const 3) (i32.const 1) (i32.const 48) (i32.const 14) (i32.const 128)))`},
	{"fd_filestat_get", create, `(call $check (call $fd_filestat_get (local.get $fd) (i32.const 128)))`},
	{"clock_time_get", "", `(call $check (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 16)))`},
}

const (
	create = `(call $check (call $path_open (i32.const 3) (i32.const 1) (i32.const 32) (i32.const 4) (i32.const 1) (i64.const 2097262) (i64.const 0) (i32.const 0) (i32.const 8)))
		(local.set $fd (i32.load (i32.const 8)))`
	fill = `(call $check (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 16)))`
)

func module(b *testing.B, setup, body string) []byte {
	b.Helper()
	text := fmt.Sprintf(`(module
		(import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
		(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
		(import "wasi_snapshot_preview1" "fd_pread" (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
		(import "wasi_snapshot_preview1" "path_filestat_get" (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
		(memory (export "memory") 4)
		(data (i32.const 0) "\00\10\00\00\00\10\00\00") (data (i32.const 32) "file") (data (i32.const 48) "a/b/c/d/e/file")
		(func $check (param i32) (if (local.get 0) (then unreachable)))
		(func (export "_start") (local $n i32) (local $fd i32) (local.set $n (i32.const %d)) %s
			(loop $l %s (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))`, calls, setup, body)
	wasm, err := wasmtimego.Wat2Wasm(text)
	if err != nil {
		b.Fatal(err)
	}
	return wasm
}

// tree makes a root directory for the measured modules.
func tree(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	deep := filepath.Join(dir, "a/b/c/d/e")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deep, "file"), []byte("text"), 0o644); err != nil {
		b.Fatal(err)
	}
	return dir
}

// BenchmarkHostCalls compares this project's WASI with wasmtime's own, in one process. Each call
// has a row.
func BenchmarkHostCalls(b *testing.B) {
	for _, m := range measured {
		b.Run(m.name+"/krustlet-wasi", func(b *testing.B) { ours(b, module(b, m.setup, m.body)) })
		b.Run(m.name+"/wasmtime", func(b *testing.B) { theirs(b, module(b, m.setup, m.body)) })
	}
}

func report(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/calls, "ns/call")
}

func ours(b *testing.B, wasm []byte) {
	e, err := wasmtime.New(wasmtime.Config{CacheDir: guests.CacheDir(b), Log: zap.NewNop()})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	file := filepath.Join(b.TempDir(), "module.wasm")
	if err := os.WriteFile(file, wasm, 0o600); err != nil {
		b.Fatal(err)
	}
	spec := runtime.Spec{ID: b.Name(), Module: file, Digest: guests.Digest(b, file), Command: runtime.Command{Args: []string{"guest"}},
		Mounts: []runtime.Mount{{Host: tree(b), Guest: "/"}}}
	run := func() {
		p, err := e.Start(b.Context(), spec, runtime.Streams{})
		if err != nil {
			b.Fatal(err)
		}
		<-p.Done()
		if exit := p.Exit(); exit.Code != 0 {
			b.Fatalf("exit %+v", exit)
		}
	}
	run() // compiles the module
	for b.Loop() {
		run()
	}
	report(b)
}

func theirs(b *testing.B, wasm []byte) {
	engine := wasmtimego.NewEngine()
	defer engine.Close()
	linker := wasmtimego.NewLinker(engine)
	if err := linker.DefineWasi(); err != nil {
		b.Fatal(err)
	}
	m, err := wasmtimego.NewModule(engine, wasm)
	if err != nil {
		b.Fatal(err)
	}
	dir := tree(b)
	for b.Loop() {
		store := wasmtimego.NewStore(engine)
		cfg := wasmtimego.NewWasiConfig()
		if err := cfg.PreopenDir(dir, "/", wasmtimego.DIR_READ|wasmtimego.DIR_WRITE, wasmtimego.FILE_READ|wasmtimego.FILE_WRITE); err != nil {
			b.Fatal(err)
		}
		store.SetWasi(cfg)
		instance, err := linker.Instantiate(store, m)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := instance.GetFunc(store, "_start").Call(store); err != nil {
			b.Fatal(err)
		}
		store.Close()
	}
	report(b)
}
