package wasmtime

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// A guest with this limit must not make the process that hosts it hold more than the limit and a
// bounded amount beside it (docs/engine.md).
const (
	residentLimit  = 64 << 20
	residentBeside = 16 << 20
)

// atLimit fills its memory up to the limit.
const atLimit = `(memory (export "memory") 1)
	(func $fill (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
		(loop $last (br_if $last (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
		(memory.fill (i32.const 0) (i32.const 255) (i32.mul (memory.size) (i32.const 65536))))`

// tricks are modules that try to make their host hold more than the limit.
func tricks(t *testing.T) map[string]string {
	t.Helper()
	long := strings.Repeat("n", 99_000)
	tables := ""
	for i := range 16 {
		tables += fmt.Sprintf("(table $t%d 0 funcref) ", i)
	}
	fill := ""
	for i := range 16 {
		fill += fmt.Sprintf(`(loop $l%d (br_if $l%d (i32.ne (table.grow $t%d (ref.func $f) (i32.const 10000)) (i32.const -1)))) `, i, i, i)
	}
	all := map[string]string{
		"memory": `(module ` + atLimit + ` (func (export "_start") (call $fill)))`,
		"several memories": `(module (memory (export "memory") 1) (memory $b 1)
			(func (export "_start") (loop $more (br_if $more (i32.ne (memory.grow $b (i32.const 16)) (i32.const -1))))
				(memory.fill $b (i32.const 0) (i32.const 255) (i32.mul (memory.size $b) (i32.const 65536)))
				(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
				(memory.fill (i32.const 0) (i32.const 255) (i32.mul (memory.size) (i32.const 65536)))))`,
		"tables in turn":           tablesInTurn(),
		"passive elements":         `(module ` + atLimit + ` (elem func ` + strings.Repeat(` $f`, 60_000) + `) (func $f) (func (export "_start") (call $fill)))`,
		"tables":                   `(module (memory (export "memory") 1) ` + tables + ` (func $f) (elem declare func $f) (func (export "_start") ` + fill + `))`,
		"a trap in deep recursion": `(module ` + atLimit + ` (func $` + long + ` (call $` + long + `)) (func (export "_start") (call $fill) (call $` + long + `)))`,
		"a kill in deep recursion": `(module ` + atLimit + ` (func $` + long + ` (param i32)
			(if (i32.eqz (local.get 0)) (then (loop $spin (br $spin)))) (call $` + long + ` (i32.sub (local.get 0) (i32.const 1))))
			(func (export "_start") (call $fill) (call $` + long + ` (i32.const 6000))))`,
		"globals":   `(module ` + atLimit + strings.Repeat(` (global (mut i64) (i64.const 1))`, 20_000) + ` (func (export "_start") (call $fill)))`,
		"functions": `(module ` + atLimit + strings.Repeat(` (func)`, 50_000) + ` (func (export "_start") (call $fill)))`,
		"elements": `(module ` + atLimit + ` (table 1000000 funcref) (elem (i32.const 0) func ` + strings.Repeat(` $f`, 1_000_000) + `) (func $f)
			(func (export "_start") (call $fill)))`,
		"paths": paths(), // opens files with long paths, again and again
		"types": `(module ` + atLimit + manyTypes() + ` (func (export "_start") (call $fill)))`,
		"constant data": `(module ` + atLimit + ` (data $d "` + strings.Repeat("0123456789abcdef", 24<<16) + `")
			(func (export "_start") (memory.init $d (i32.const 0) (i32.const 0) (i32.const 65536)) (call $fill)))`,
	}
	if supported() {
		all["chains of types"] = `(module ` + atLimit + ` (type $t0 (sub (struct)))` + chains(60_000) + ` (func (export "_start") (call $fill)))`
		all["functions in objects"] = `(module ` + atLimit + ` (type $a (array (mut funcref)))` + strings.Repeat(` (func)`, 15_000) + ` (elem $e func` + numbers(15_000) + `)
			(func (export "_start") (local $list (ref null $a)) (local.set $list (array.new_elem $a $e (i32.const 0) (i32.const 15000))) (call $fill)))`
		all["exceptions"] = `(module ` + atLimit + ` (tag $t (param i64 i64)) (type $l (struct (field (ref null $l)) (field exnref)))
			(func $f (throw $t (i64.const 1) (i64.const 2)))
			(func (export "_start") (local $list (ref null $l))
				(loop $more (local.set $list (struct.new $l (local.get $list) (block $h (result exnref) (try_table (catch_all_ref $h) (call $f)) unreachable))) (br $more))))`
		all["objects"] = `(module ` + atLimit + ` (type $a (array (mut i8))) (type $l (struct (field (ref null $l)) (field (ref $a))))
			(func (export "_start") (local $list (ref null $l))
				(loop $more (local.set $list (struct.new $l (local.get $list) (array.new $a (i32.const 1) (i32.const 100000)))) (br $more))))`
	}
	return all
}

// paths opens as many directories as possible with a path of 4,000 bytes, and reads their
// attributes for ever.
func paths() string {
	return `(module (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "path_filestat_get" (func $look (param i32 i32 i32 i32 i32) (result i32))) ` + atLimit + `
		(func (export "_start") (call $fill)
			(memory.fill (i32.const 4096) (i32.const 47) (i32.const 4000)) (i32.store8 (i32.const 4096) (i32.const 46))
			(loop $more (br_if $more (i32.eqz (call $open (i32.const 3) (i32.const 0) (i32.const 4096) (i32.const 4000) (i32.const 0)
				(i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16)))))
			(if (call $look (i32.const 3) (i32.const 0) (i32.const 4096) (i32.const 4000) (i32.const 64)) (then unreachable))
			(loop $spin (drop (call $look (i32.const 3) (i32.const 0) (i32.const 4096) (i32.const 4000) (i32.const 64))) (br $spin))))`
}

// tablesInTurn has 16 tables, which grow in turn until they may not grow any more.
func tablesInTurn() string {
	tables, turns := "", ""
	for i := range 16 {
		tables += fmt.Sprintf(`(table $t%d 0 funcref) `, i)
		turns += fmt.Sprintf(`(local.set $on (i32.or (local.get $on) (i32.ne (table.grow $t%d (ref.func $f) (i32.const 1000)) (i32.const -1)))) `, i)
	}
	return `(module (memory (export "memory") 1) ` + tables + ` (func $f) (elem declare func $f) (func (export "_start") (local $on i32)
		(loop $all (local.set $on (i32.const 0)) ` + turns + ` (br_if $all (local.get $on))) (loop $spin (br $spin))))`
}

// chains are types in chains of 60 levels. Each type is a subtype of the one before it.
func chains(n int) string {
	var all strings.Builder
	for i := 1; i < n; i++ {
		if i%60 == 0 {
			fmt.Fprintf(&all, "(type $t%d (sub (struct (field (ref null $t%d)))))", i, i-1)
		} else {
			fmt.Fprintf(&all, "(type $t%d (sub $t%d (struct (field (ref null $t%d)))))", i, i-1, max(i-i%60-1, 0))
		}
	}
	return all.String()
}

// numbers returns the first n numbers.
func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " %d", i)
	}
	return b.String()
}

// manyTypes are different function types, each with many results. The engine keeps some KiB for
// each.
func manyTypes() string {
	var all strings.Builder
	kinds := []string{" i32", " i64", " f32", " f64"}
	for i := range 20_000 {
		fmt.Fprintf(&all, "(type (func (param%s%s%s) (result%s)))", kinds[i%4], kinds[i/4%4], kinds[i/16%4], strings.Repeat(" i32", 1+i/64))
	}
	return all.String()
}

// TestResidentMemory measures from outside how much memory a process holds while a guest at its
// limit tries to make it hold as much as possible. The memory that the process held after a small
// guest is subtracted.
// docs/security.md: "Beside it a container may make its worker hold up to 16 MiB."
func TestResidentMemory(t *testing.T) {
	for name, text := range tricks(t) {
		t.Run(name, func(t *testing.T) { measureResident(t, wat(t, text), 0) })
	}
}

// TestResidentMemoryOfCommands: the commands in a container share its limit, and the amount that
// the host holds beside it.
// docs/security.md: "`resources.limits.memory` bounds all that a container takes, commands, probes
// and hooks included: linear memories, tables, objects, and what the host holds for it beyond 14
// MiB."
func TestResidentMemoryOfCommands(t *testing.T) {
	// The first command takes nearly all memory, the others have one page each.
	const spin = ` (loop $spin (br $spin))`
	const first = `(memory (export "memory") 1) (func $first (drop (memory.grow (i32.const 950)))
		(memory.fill (i32.const 0) (i32.const 255) (i32.mul (memory.size) (i32.const 65536))))`
	for name, text := range map[string]string{
		"memory": atLimit + ` (func (export "_start") (call $fill)` + spin + `)`,
		"killed in deep recursion": first + ` (func $deep (param i32) (if (i32.eqz (local.get 0)) (then` + spin + `))
			(call $deep (i32.sub (local.get 0) (i32.const 1)))) (func (export "_start") (call $first) (call $deep (i32.const 10000)))`,
		"large instances": first + strings.Repeat(` (global (mut i64) (i64.const 1))`, 10_000) + ` (func $f) (elem func ` + strings.Repeat(` $f`, 60_000) + `)
			(func (export "_start") (call $first)` + spin + `)`,
	} {
		t.Run(name, func(t *testing.T) { measureResident(t, wat(t, `(module `+text+`)`), 32) })
	}
}

// TestWhatGuestsHadIsGivenBack: tables that grow at the same time in many guests leave no holes in
// the process's heap, neither while the guests run nor after their end.
func TestWhatGuestsHadIsGivenBack(t *testing.T) {
	const guests, limit = 24, 16 << 20
	e := newEngine(t)
	file := wat(t, tablesInTurn())
	now := func() int64 {
		goruntime.GC()
		debug.FreeOSMemory()
		n, _ := residents()
		return n
	}
	before := now()
	for range 3 {
		var all []*guestRun
		for range guests {
			all = append(all, start(t, e, file, runtime.Spec{MemoryLimit: limit}))
		}
		for _, r := range all {
			eventually.True(t, "its tables are full", func() bool { return r.process.Stats().Memory > limit-256<<10 })
		}
		if held := now() - before; held > guests*(limit+2<<20) {
			t.Errorf("%d guests of %d MiB make it hold %d MiB", guests, limit>>20, held>>20)
		}
		for _, r := range all {
			r.process.Stop(0)
			r.wait()
		}
		if left := now() - before; left > 24<<20 {
			t.Errorf("%d MiB are left", left>>20)
		}
	}
}

func measureResident(t *testing.T, file string, commands int) {
	t.Helper()
	// The code is already compiled, as it is for workers.
	cache, digest := guests.CacheDir(t), guests.Digest(t, file)
	c, err := NewCompiler(Config{CacheDir: cache, Compiler: self(), Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tiny := filepath.Join(t.TempDir(), "tiny.wasm")
	if err := os.WriteFile(tiny, guests.Tiny(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{tiny, file} {
		if err := c.Compile(t.Context(), "", guests.Digest(t, f), f); err != nil {
			t.Logf("not compiled: %v", err)
			return // a guest that cannot start takes nothing
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", hostCommand, cache, tiny, guests.Digest(t, tiny), file, digest, strconv.Itoa(commands))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var idle, peak int64
	if _, err := fmt.Sscan(string(out), &idle, &peak); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	t.Logf("idle %d KiB, at most %d KiB more", idle>>10, (peak-idle)>>10)
	bound := int64(residentLimit + residentBeside)
	if raceDetector {
		bound += residentBeside // for each byte of Go's memory, Go keeps some more of its own
	}
	if peak-idle > bound {
		t.Errorf("the process held %d KiB more than when it was idle; the limit is %d KiB, and %d KiB beside it",
			(peak-idle)>>10, residentLimit>>10, (bound-residentLimit)>>10)
	}
}

// hostCommand makes the test binary a process that hosts guests: see main_test.go.
const hostCommand = "host-of-a-guest"

// hostGuest runs a small guest, and then another one at the limit with a number of commands beside
// it. It prints how many bytes the process held after the first guest, and its maximum.
func hostGuest(args []string) error {
	cache, tiny, tinyDigest, file, digest := args[0], args[1], args[2], args[3], args[4]
	commands, err := strconv.Atoi(args[5])
	if err != nil {
		return err
	}
	e, err := New(Config{CacheDir: cache, LoadOnly: true, Log: zap.NewNop()})
	if err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	run := func(id, module, digest, beside string) (runtime.Guest, error) {
		return e.Start(context.Background(), runtime.Spec{
			ID: id, Of: runtime.Origin{Pod: "pod", Beside: beside}, Module: module, Digest: digest, Command: runtime.Command{Args: []string{"guest"}},
			Mounts: []runtime.Mount{{Host: root, Guest: "/"}}, MemoryLimit: residentLimit,
		}, runtime.Streams{})
	}
	p, err := run("first", tiny, tinyDigest, "")
	if err != nil {
		return err
	}
	p.Stop(0)
	<-p.Done()
	goruntime.GC()
	debug.FreeOSMemory()
	idle, _ := residents()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // the peak is measured from here
		return err
	}
	all := []runtime.Guest{}
	if p, err = run("second", file, digest, ""); err == nil {
		all = append(all, p)
	}
	for i := range commands {
		if p, err := run(fmt.Sprint("command ", i), file, digest, "second"); err == nil {
			all = append(all, p)
		}
	}
	enough := time.After(4 * time.Second) // guests that go on are spinning by now, and what they hold does not change
	for _, p := range all {
		select {
		case <-p.Done():
			continue
		case <-enough:
		}
		break
	}
	for _, p := range all {
		p.Stop(0)
	}
	for _, p := range all {
		<-p.Done()
	}
	_, peak := residents()
	fmt.Println(idle, peak)
	return e.Close()
}

// residents returns the memory of the process, now and at its peak, in bytes.
func residents() (now, peak int64) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	for s := bufio.NewScanner(io.LimitReader(f, 1<<16)); s.Scan(); {
		_, _ = fmt.Sscanf(s.Text(), "VmRSS: %d", &now)
		_, _ = fmt.Sscanf(s.Text(), "VmHWM: %d", &peak)
	}
	return now << 10, peak << 10
}
