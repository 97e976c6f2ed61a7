package wasmtime

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
)

// TestIdleCodeGoes: code that no guest runs is unmapped in time, even if no start follows. Code in
// use stays mapped.
// docs/security.md: "what no guest runs any more is unmapped within 5 minutes."
func TestIdleCodeGoes(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e, err := New(Config{CacheDir: dir, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = e.Close() }()
		get := func(file string) *module {
			m, err := e.modules.get(t.Context(), wantedCommand(guests.Digest(t, file), file), maxMemory)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		idle, late, used := filepathTiny(t), wat(t, `(module (func (export "_start")))`), wat(t, `(module (func (export "_start") (nop)))`)
		kept := get(used)
		e.modules.release(get(idle))
		time.Sleep(idleTime / 2)
		e.modules.release(get(idle)) // the time counts from here
		e.modules.release(get(late))
		time.Sleep(idleTime - time.Second)
		e.modules.release(get(late))
		if n := len(mapped(t, dir)); n != 3 {
			t.Fatalf("%d files are mapped before the time has passed", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if left := mapped(t, dir); len(left) != 2 || !left[e.modules.disk.Path(guests.Digest(t, late))] {
			t.Errorf("one was used a second ago, and one is in use: mapped are %v", left)
		}
		time.Sleep(idleTime)
		synctest.Wait()
		if left := mapped(t, dir); len(left) != 1 || !left[e.modules.disk.Path(kept.digest)] {
			t.Errorf("one is in use: mapped are %v", left)
		}
		e.modules.release(kept)
	})
}

// mapped returns the files in a folder that this process has mapped.
func mapped(t testing.TB, dir string) map[string]bool {
	t.Helper()
	files := map[string]bool{}
	for line := range strings.Lines(read(t, "/proc/self/maps")) {
		if i := strings.Index(line, dir); i >= 0 {
			files[strings.TrimSpace(line[i:])] = true
		}
	}
	return files
}

func TestIdleCodeIsBounded(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name string
		size func(i int) int64 // MiB of the module that was used that many seconds ago; negative if it is still in use
		left []int
	}{
		{"number", func(int) int64 { return 0 }, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
		{"bytes", func(int) int64 { return 20 }, []int{0, 1, 2}},
		{"a large one goes, smaller ones stay", func(i int) int64 { return max(1, 65*int64(1-i)) }, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
		{"those in use", func(int) int64 { return -100 }, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}},
	} {
		ms := &modules{byKey: map[string]*entry{}, closed: true} // without a timer
		for i := range 20 {
			m := &module{codeSize: c.size(i) << 19, known: c.size(i) << 19}
			s := &entry{u: m, used: now.Add(-time.Duration(i) * time.Second)}
			if m.codeSize < 0 {
				s.users, m.codeSize = 1, -m.codeSize
			}
			ms.byKey[fmt.Sprint(i)] = s
		}
		victims := len(ms.idle())
		var left []int
		for i := range 20 {
			if ms.byKey[fmt.Sprint(i)] != nil {
				left = append(left, i)
			}
		}
		if !slices.Equal(left, c.left) || victims != 20-len(left) {
			t.Errorf("%s: left are %v, and %d go", c.name, left, victims)
		}
	}
}
