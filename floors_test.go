// Package krustletwasi has no code: it holds the test of how the packages may depend on each other.
package krustletwasi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/krustlet-go/krustlet-wasi"

// floors: a package may import packages of lower floors only. What is not named here belongs to the
// longest path above it.
var floors = map[string]int{
	"cmd":                        6,
	"cmd/krustlet-wasi/cmdline":  2,
	"cmd/krustlet-wasi/config":   4,
	"cmd/krustlet-wasi/exit":     1,
	"cmd/krustlet-wasi/flock":    1,
	"cmd/krustlet-wasi/image":    5,
	"cmd/krustlet-wasi/logging":  1,
	"cmd/krustlet-wasi/run":      5,
	"podsync":                    4,
	"runtime/wasi/preview1":      2,
	"runtime/wasmtime":           4,
	"runtime/wasmtime/admission": 2,
	"runtime/wasmtime/codecache": 2,
	"runtime/wasmtime/compile":   3,
	"runtime/wasmtime/message":   1,
	"runtime/wasmtime/processor": 1,
	"runtime/wasmtime/stdio":     2,
	"runtime/wasmtime/translate": 1,
	"runtime/worker/host":        3,
	"runtime/worker/pool":        3,
	"runtime/worker/wire":        2,
	"runtime/filetree":           1,
	"runtime/worker/confine":     1,
	"runtime/worker/workerpb":    1,
	"podsync/address":            1,
	"podsync/hostport":           1,
	"podsync/informer":           1,
	"podsync/metrics":            1,
	"podsync/objects":            1,
	"podsync/overlay":            2,
	"podsync/probe":              1,
	"podsync/volume":             2,
	"runtime":                    1,
	"registry":                   3,
	"registry/credentials":       1,
	"registry/rootfs":            2,
	"node":                       1,
	"tlsbootstrap":               1,
	"kubeletapi":                 2,
	"kubeletapi/door":            1,
}

const aside = "hack" // test support and tools: may import anything, and no product code imports it

type goPackage struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,CgoFiles", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

// room is a package's path in the module, and whether it is ours.
func room(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

// floor is the floor of a room; 0 if it has none.
func floor(room string) int {
	for at := room; ; {
		if f, ok := floors[at]; ok {
			return f
		}
		i := strings.LastIndexByte(at, '/')
		if i < 0 {
			return 0
		}
		at = at[:i]
	}
}

func TestImportsGoDownwards(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := room(p.ImportPath)
		if from == "" || from == aside || strings.HasPrefix(from, aside+"/") || from == "test" || strings.HasPrefix(from, "test/") {
			continue
		}
		if floor(from) == 0 {
			t.Errorf("%s stands on no floor: give it one here and on the design page", from)
		}
		for _, path := range p.Imports {
			to, ours := room(path)
			if !ours {
				continue
			}
			if f := floor(to); f == 0 || f >= floor(from) {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go downwards only", from, floor(from), to, f)
			}
		}
	}
}

func TestOnlyOneRoomKnowsTheEngine(t *testing.T) {
	const engine = "runtime/wasmtime"
	for _, p := range packages(t) {
		from, _ := room(p.ImportPath)
		if from == engine {
			if len(p.CgoFiles) == 0 {
				t.Errorf("%s has no cgo: this test looks at the wrong place", from)
			}
			continue
		}
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s has cgo files %v: cgo belongs into %s", from, p.CgoFiles, engine)
		}
		if slices.ContainsFunc(p.Imports, func(path string) bool { return strings.Contains(path, "wasmtime-go") }) {
			t.Errorf("%s imports wasmtime-go: only %s may", from, engine)
		}
	}
}
