package krustletwasi

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const advisoriesPage = "docs/security-advisories.md"

var (
	// advisory matches GitHub's identifier, which every advisory of wasmtime has.
	advisory = regexp.MustCompile(`\bGHSA(-[0-9a-z]{4}){3}\b`)

	// verdict matches what the page says about an advisory and one version of the engine.
	verdict = regexp.MustCompile(`^(no|held|open( on (arm64|amd64))?)$`)
)

// tables are a page's tables, by the first cell of the head. They have the rows, without the head
// and the line below it.
func tables(page string) map[string][][]string {
	all := map[string][][]string{}
	head := ""
	for line := range strings.Lines(prose(page)) {
		line = strings.TrimSpace(line)
		inner, isRow := strings.CutPrefix(line, "|")
		if !isRow {
			head = ""
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.TrimSuffix(inner, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		switch {
		case head == "":
			head = cells[0]
		case strings.Trim(line, "|-: ") != "":
			all[head] = append(all[head], cells)
		}
	}
	return all
}

// TestAdvisories: each advisory has one line, with a verdict for both engines. If a fault is held,
// the line also has a wall that the page explains, or a reason.
// docs/security.md: "[Security advisories](security-advisories.md) lists what is known to be wrong
// with wasmtime, and what holds it off here."
func TestAdvisories(t *testing.T) {
	page := pages(t)[advisoriesPage]
	found := tables(page)
	var walls []string
	for _, row := range found["wall"] {
		walls = append(walls, row[0])
	}
	for wall := range neverUsed {
		if !slices.Contains(walls, wall) {
			t.Errorf("the page does not explain the wall %q", wall)
		}
	}
	if len(walls) < 5 || len(found["advisory"]) < 50 {
		t.Fatalf("%d walls and %d advisories: this test looks at the wrong things", len(walls), len(found["advisory"]))
	}
	lines := map[string]int{}
	for _, row := range found["advisory"] {
		if len(row) != 5 {
			t.Errorf("%q has %d cells, want 5", row[0], len(row))
			continue
		}
		names := advisory.FindAllString(row[0], -1)
		if len(names) != 1 {
			t.Errorf("%q: %d identifiers of GitHub's, want 1", row[0], len(names))
			continue
		}
		lines[names[0]]++
		for _, of := range row[2:4] {
			if !verdict.MatchString(of) {
				t.Errorf("%s: the verdict %q is none of no, held, open", names[0], of)
			}
		}
		if row[1] == "" || row[4] == "" {
			t.Errorf("%s: what happens, or what holds it off, is missing", names[0])
		}
		explained := slices.ContainsFunc(walls, func(wall string) bool { return strings.Contains(row[4], wall) })
		if slices.Contains(row[2:4], "held") && !explained && !strings.HasSuffix(row[4], ".") {
			t.Errorf("%s: %q is no wall of the page, nor a sentence", names[0], row[4])
		}
	}
	for name, n := range lines {
		if n > 1 {
			t.Errorf("%s has %d lines", name, n)
		}
	}
	for file, form := range map[string]*regexp.Regexp{
		"go.mod":                 regexp.MustCompile(`wasmtime-go/v\d+ v(\S+)`),
		"hack/engine/Cargo.toml": regexp.MustCompile(`wasmtime-c-api-impl = \{ version = "=([^"]+)"`),
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		version := form.FindSubmatch(text)
		if version == nil || !strings.Contains(page, string(version[1])) || !strings.Contains(pages(t)["docs/engine.md"], string(version[1])) {
			t.Errorf("%s and docs/engine.md do not name the version of the engine that %s has, %q", advisoriesPage, file, version)
		}
	}
}

// neverUsed are functions and settings of wasmtime. The key is the wall on the page that depends on
// their absence.
var neverUsed = map[string]*regexp.Regexp{
	"own WASI":             regexp.MustCompile(`\bwasi_|_wasi\b|NewWasiConfig|DefineWasi|SetWasi|wasmtime_wasi::`),
	"own components":       regexp.MustCompile(`wasmtime_component|wasm_component_model\(true\)|component::`),
	"no async, no fuel":    regexp.MustCompile(`wasmtime_\w*async|call_async|[Ff]uel`),
	"no pool with 39":      regexp.MustCompile(`wasmtime_pooling|allocation_strategy_set`), // of the C API, which 39 has, too
	"Cranelift only":       regexp.MustCompile(`(?i)winch|config_strategy|SetStrategy|\bStrategy::`),
	"guarded memory":       regexp.MustCompile(`signals_based_traps|memory_(guard|reservation|may_move)|gc_heap_(guard|reservation|may_move)`),
	"no types of the host": regexp.MustCompile(`linker_clone|get_module_export|wasmtime_(any|eq|exn|extern)ref_\w+|(struct|array)_(type|ref)_new`),
	"no shared memory":     regexp.MustCompile(`wasmtime_sharedmemory|SharedMemory::new`),
	"nothing to debug":     regexp.MustCompile(`debug_info|SetDebugInfo|[Pp]rofiler|coredump`),
}

// comment matches the comment at the end of a line.
var comment = regexp.MustCompile(`(?m)(^|\s)//.*$`)

// TestWallsOfTheEngine: if the page of advisories says that a function is never called, the code
// that calls the engine does not name it.
func TestWallsOfTheEngine(t *testing.T) {
	var files []string
	for _, pattern := range []string{"runtime/wasmtime/*.go", "runtime/wasmtime/*.[ch]", "hack/engine/src/*.rs"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	files = slices.DeleteFunc(files, func(file string) bool { return strings.HasSuffix(file, "_test.go") })
	calls := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code := comment.ReplaceAllString(string(text), "")
		calls += strings.Count(code, "wasmtime_")
		for wall, never := range neverUsed {
			if named := never.FindString(code); named != "" {
				t.Errorf("%s names %q: %s rests on the wall %q", file, named, advisoriesPage, wall)
			}
		}
	}
	if calls < 20 {
		t.Errorf("%d files name %d functions of wasmtime: this test looks at the wrong things", len(files), calls)
	}
}
