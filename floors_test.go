// Package krustletwasi has no code. It has the test of how packages may depend on each other.
package krustletwasi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/krustlet-go/krustlet-wasi"

// floors: a package may import only packages of lower floors. A package that is not named here has
// the floor of the longest named path above it. Floor 0 is the lowest: its packages import none of
// ours.
var floors = map[string]int{
	"cmd":                         11,
	"cmd/krustlet-wasi/cmdline":   2,
	"cmd/krustlet-wasi/config":    5,
	"cmd/krustlet-wasi/exit":      1,
	"cmd/krustlet-wasi/flock":     1,
	"cmd/krustlet-wasi/image":     10,
	"cmd/krustlet-wasi/logging":   1,
	"cmd/krustlet-wasi/run":       10,
	"kubeletapi":                  3,
	"kubeletapi/access":           2,
	"kubeletapi/door":             1,
	"kubeletapi/scrape":           1,
	"node":                        1,
	"podsync":                     5,
	"podsync/address":             1,
	"podsync/admit":               3,
	"podsync/clusternet":          3,
	"podsync/environ":             2,
	"podsync/events":              1,
	"podsync/hostport":            1,
	"podsync/informer":            1,
	"podsync/life":                2,
	"podsync/metrics":             1,
	"podsync/netpolicy":           1,
	"podsync/objects":             1,
	"podsync/overlay":             2,
	"podsync/podfiles":            3,
	"podsync/podspec":             1,
	"podsync/probe":               1,
	"podsync/service":             1,
	"podsync/volume":              2,
	"registry":                    4,
	"registry/credentials":        1,
	"registry/distribution":       3,
	"registry/fault":              1,
	"registry/manifest":           2,
	"registry/rootfs":             2,
	"runtime":                     0,
	"runtime/component/binary":    1,
	"runtime/component/canon":     3,
	"runtime/component/command":   7,
	"runtime/component/handler":   8,
	"runtime/component/instance":  4,
	"runtime/component/link":      3,
	"runtime/component/plan":      2,
	"runtime/component/typed":     4,
	"runtime/component/types":     1,
	"runtime/component/validate":  2,
	"runtime/component/world":     2,
	"runtime/egress":              1,
	"runtime/filetree":            1,
	"runtime/httpserver":          2,
	"runtime/leb128":              0,
	"runtime/logfile":             1,
	"runtime/names":               1,
	"runtime/network":             2,
	"runtime/pause":               0,
	"runtime/spans":               1,
	"runtime/visible":             0,
	"runtime/wasi":                1,
	"runtime/wasi/config":         1,
	"runtime/wasi/descriptor":     2,
	"runtime/wasi/extra":          6,
	"runtime/wasi/extra/bindings": 5,
	"runtime/wasi/http":           5,
	"runtime/wasi/http/client":    2,
	"runtime/wasi/p2":             6,
	"runtime/wasi/p2/bindings":    5,
	"runtime/wasi/p3":             6,
	"runtime/wasi/p3/bindings":    5,
	"runtime/wasi/preview1":       3,
	"runtime/wasmtime":            9,
	"runtime/wasmtime/admission":  2,
	"runtime/wasmtime/codecache":  2,
	"runtime/wasmtime/compile":    3,
	"runtime/wasmtime/listen":     2,
	"runtime/wasmtime/message":    1,
	"runtime/wasmtime/processor":  1,
	"runtime/wasmtime/stdio":      2,
	"runtime/wasmtime/translate":  1,
	"runtime/worker/confine":      1,
	"runtime/worker/host":         3,
	"runtime/worker/pool":         3,
	"runtime/worker/wire":         2,
	"runtime/worker/workerpb":     1,
	"tlsbootstrap":                1,
}

const aside = "hack" // test support and tools: may import every package, and no product code imports it

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

// room is a package's path in the module. The bool reports whether the package is ours.
func room(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

const noFloor = -1

// floor is the floor of a room, or noFloor.
func floor(room string) int {
	for at := room; ; {
		if f, ok := floors[at]; ok {
			return f
		}
		i := strings.LastIndexByte(at, '/')
		if i < 0 {
			return noFloor
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
		if floor(from) == noFloor {
			t.Errorf("%s has no floor: give it one in floors", from)
		}
		for _, path := range p.Imports {
			to, ours := room(path)
			if !ours {
				continue
			}
			if f := floor(to); f == noFloor || f >= floor(from) {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go downwards only", from, floor(from), to, f)
			}
		}
	}
}

// TestTheStateMachineIsPure: the state machine of pods, and our packages that it uses, do not
// import packages of the system or of the API server. A linter checks that they read no clock
// (.golangci.yml).
func TestTheStateMachineIsPure(t *testing.T) {
	imports := map[string][]string{}
	for _, p := range packages(t) {
		imports[p.ImportPath] = p.Imports
	}
	impure := func(path string) bool {
		for _, root := range []string{"os", "net", "syscall", "golang.org/x/sys", "k8s.io/client-go"} {
			if path == root || strings.HasPrefix(path, root+"/") && path != "net/netip" {
				return true
			}
		}
		return false
	}
	seen := map[string]bool{}
	var look func(path string)
	look = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		for _, to := range imports[path] {
			if impure(to) {
				t.Errorf("%s imports %s: the state machine of pods is pure", path, to)
			}
			if _, ours := room(to); ours {
				look(to)
			}
		}
	}
	look(module + "/podsync/life")
	if len(seen) < 3 {
		t.Errorf("only %d packages were looked at: the state machine is not where this test looks for it", len(seen))
	}
}

func TestOnlyOneRoomKnowsTheEngine(t *testing.T) {
	const engine = "runtime/wasmtime"
	const ofTests = "hack/componentengine" // a small engine, for tests below the room of the real one
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
		if from != ofTests && slices.ContainsFunc(p.Imports, func(path string) bool { return strings.Contains(path, "wasmtime-go") }) {
			t.Errorf("%s imports wasmtime-go: only %s may", from, engine)
		}
	}
}

// mapLine matches a line of the map in CONTRIBUTING.md: floor, paths, and their content.
var mapLine = regexp.MustCompile(`^(\d+) (  )?((?:[a-z0-9/-]+, )*[a-z0-9/-]+)  +\S`)

// TestMap: the map in CONTRIBUTING.md has every package with its floor, and no other packages.
func TestMap(t *testing.T) {
	text, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	onMap := map[string]string{}
	top := ""
	for line := range strings.Lines(string(text)) {
		m := mapLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		names := strings.Split(m[3], ", ")
		above := top
		if m[2] == "" {
			top, above = names[0], path.Dir(names[0])
			names[0] = path.Base(names[0])
		}
		for _, name := range names {
			onMap[path.Join(above, name)] = m[1]
		}
	}
	for _, p := range packages(t) {
		at, _ := room(p.ImportPath)
		if at == "" || at == "test" || strings.HasPrefix(at, "test/") || strings.HasPrefix(at, aside+"/") {
			continue
		}
		if want := strconv.Itoa(floor(at)); onMap[at] != want {
			t.Errorf("the map has %s on floor %q, want %s", at, onMap[at], want)
		}
		delete(onMap, at)
	}
	for at := range onMap {
		t.Errorf("the map has %s, which is not there", at)
	}
}
