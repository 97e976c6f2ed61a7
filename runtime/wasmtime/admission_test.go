package wasmtime

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestCapacity(t *testing.T) {
	machine := map[string]string{
		"sys/vm/max_map_count":   "65530\n",
		"sys/kernel/threads-max": "190000\n",
		"sys/kernel/pid_max":     "4194304\n",
		"loadavg":                "0.1 0.1 0.1 3/488 1234\n",
		"meminfo":                "MemTotal: 99999999 kB\nMemAvailable: 67108864 kB\n",
		"self/maps":              strings.Repeat("area\n", 234),
		"self/cgroup":            "",
	}
	for _, c := range []struct {
		name, file, text string
		files            int64
		guests           int
		of               string
	}{
		{"as it is", "self/cgroup", "", 1 << 20, 6800, "vm.max_map_count = 65530"},
		{"few threads", "sys/kernel/pid_max", "4000", 1 << 20, 3000, "kernel.pid_max = 4000"},
		{"little memory", "meminfo", "MemAvailable: 524288 kB\n", 1 << 20, 3072, "memory, 512 MiB free"},
		{"hardly any memory", "meminfo", "MemAvailable: 1024 kB\n", 1 << 20, 6, "memory, 1 MiB free"},
		{"few files", "self/cgroup", "", 4096, 853, "RLIMIT_NOFILE = 4096"},
		{"very few files", "self/cgroup", "", 1000, 208, "RLIMIT_NOFILE = 1000"},
		{"more maps", "sys/vm/max_map_count", "1048576", 1 << 20, 26214, "the address space"},
	} {
		t.Run(c.name, func(t *testing.T) {
			proc := t.TempDir()
			for file, text := range machine {
				write(t, filepath.Join(proc, file), text)
			}
			write(t, filepath.Join(proc, c.file), c.text)
			h := host{proc: proc, limit: func(resource int) (int64, bool) { return c.files, resource == unix.RLIMIT_NOFILE }}
			if got := h.capacity(); got.guests != c.guests || got.of != c.of {
				t.Errorf("%+v", got)
			}
		})
	}
	unknown := host{proc: t.TempDir(), limit: func(int) (int64, bool) { return 0, false }}
	if got := unknown.capacity(); got.guests <= 0 {
		t.Errorf("where nothing is known: %+v", got)
	}
	if got := thisHost().capacity(); got.guests <= 0 || got.of == "" {
		t.Errorf("here: %+v", got)
	}
}

func TestAdmission(t *testing.T) {
	e, err := New(Config{CacheDir: t.TempDir(), Log: testLog(t), MaxGuests: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	tiny := filepathTiny(t)
	one := start(t, e, tiny, runtime.Spec{})
	two := start(t, e, tiny, runtime.Spec{})
	if _, err := tryStart(t, e, tiny, runtime.Spec{}); !errors.Is(err, runtime.ErrFull) || !strings.Contains(err.Error(), "the engine is full: it holds 2 guests, and its setting allows no more") {
		t.Errorf("one too many: %v", err)
	}
	one.process.Stop(0)
	one.wait()
	eventually(t, "there is room again", func() bool {
		r, err := tryStart(t, e, tiny, runtime.Spec{})
		if err == nil {
			r.process.Stop(0)
			r.wait()
		}
		return err == nil
	})
	two.process.Stop(0)
	two.wait()
}

// TestPlacesOfAGuest: a guest with several memories takes the place of several guests.
func TestPlacesOfAGuest(t *testing.T) {
	e, err := New(Config{CacheDir: guests.CacheDir(t), Log: testLog(t), MaxGuests: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	three := wat(t, `(module (memory (export "memory") 1) (memory 1) (memory 1) (func (export "_start") (loop $spin (br $spin))))`)
	r := start(t, e, three, runtime.Spec{})
	if _, err := tryStart(t, e, filepathTiny(t), runtime.Spec{}); !errors.Is(err, runtime.ErrFull) {
		t.Errorf("a fourth place: %v", err)
	}
	r.process.Stop(0)
	r.wait()
	eventually(t, "its places are free", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.places == 0
	})
	tiny := start(t, e, filepathTiny(t), runtime.Spec{})
	if _, err := tryStart(t, e, three, runtime.Spec{}); !errors.Is(err, runtime.ErrFull) {
		t.Errorf("three places where two are free: %v", err)
	}
	tiny.process.Stop(0)
	tiny.wait()
}

// TestMapsOfGuests: no guest takes more memory areas than its places are counted as. Beyond vm.max_map_count the process would die.
func TestMapsOfGuests(t *testing.T) {
	e := newEngine(t)
	each := func(n int, text string) string {
		var all strings.Builder
		for i := range n {
			all.WriteString(strings.ReplaceAll(text, "N", strconv.Itoa(i)))
		}
		return all.String()
	}
	kinds := map[string]string{
		"plain":             `(memory (export "memory") 1) (func $do)`,
		"memories":          `(memory (export "memory") 1)` + each(15, ` (memory 1)`) + ` (func $do ` + each(16, ` (drop (memory.grow N (i32.const 1)))`) + `)`,
		"memories and data": `(memory (export "memory") 3)` + each(15, ` (memory 3)`) + each(16, ` (data (memory N) (i32.const 65536) "abc")`) + ` (func $do ` + each(16, ` (drop (memory.grow N (i32.const 1)))`) + `)`,
		"tables": `(memory (export "memory") 1)` + each(16, ` (table 10000 funcref)`) + ` (func $do (local $n i32)
			(loop $l ` + each(16, ` (drop (table.grow N (ref.null func) (i32.const 8000)))`) + ` (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 6)))))`,
	}
	if supported() {
		kinds["objects"] = `(memory (export "memory") 1) (type $a (array (mut i32))) (func $do (drop (array.new_default $a (i32.const 100000)))
			(drop (array.new_default $a (i32.const 200000))) (drop (memory.grow (i32.const 1))) (drop (array.new_default $a (i32.const 400000))))`
	}
	for name, text := range kinds {
		t.Run(name, func(t *testing.T) {
			file := wat(t, `(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32))) `+text+`
				(func (export "_start") (call $do) (i32.store (i32.const 4) (i32.const 1)) (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (loop $spin (br $spin))))`)
			var all []*guestRun
			begin := func(n int) (maps, places int) {
				for range n {
					r := start(t, e, file, runtime.Spec{})
					all = append(all, r)
					r.says("\x00")
				}
				e.mu.Lock()
				defer e.mu.Unlock()
				return strings.Count(read(t, "/proc/self/maps"), "\n"), e.places
			}
			before, had := begin(1)
			after, has := begin(20)
			for _, r := range all {
				r.process.Stop(0)
			}
			for _, r := range all {
				r.wait()
			}
			t.Logf("%.1f a guest, %d places", float64(after-before)/20, (has-had)/20)
			if after-before > mapsPerGuest*(has-had) {
				t.Errorf("20 guests with %d places have %d memory areas, more than %d for each place", has-had, after-before, mapsPerGuest)
			}
		})
	}
}
