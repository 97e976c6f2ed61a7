package world

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// exporting is a component that exports instances with these names.
func exporting(names ...string) *binary.Component {
	c := &binary.Component{}
	for _, name := range names {
		c.Definitions = append(c.Definitions, &binary.Export{Name: binary.ExternName{Name: name}, Ref: binary.Ref{Sort: binary.SortInstance}})
	}
	return c
}

func TestKinds(t *testing.T) {
	for _, tt := range []struct {
		exports     []string
		kind        Kind
		run, handle Entry
	}{
		{exports: nil},
		{exports: []string{"run", "wasi:cli/run", "wasi:cli/runs@0.2.0", "wasi:cli/run@", "wasi:cli/run@1.0.0", "wasi:cli/run@0.20.1", "wasi:cli/run@0.4.0"}},
		{exports: []string{"wasi:cli/run@0.2.0-rc-2023-11-10", "wasi:cli/run@0.3.0-rc-2025-09-16", "wasi:cli/run@0.2.x", "wasi:cli/run@0.2.01", "wasi:cli/run@0.2."}},
		{exports: []string{"wasi:http/handler@0.2.0", "wasi:http/incoming-handler@0.3.0", "my:cli/run@0.2.0"}},
		{exports: []string{"wasi:cli/run@0.2.0"}, kind: Command, run: Entry{"wasi:cli/run@0.2.0", 2}},
		{exports: []string{"a:b/c", "wasi:cli/run@0.2.123"}, kind: Command, run: Entry{"wasi:cli/run@0.2.123", 2}},
		{exports: []string{"wasi:cli/run@0.2.6+build.1"}, kind: Command, run: Entry{"wasi:cli/run@0.2.6+build.1", 2}},
		{exports: []string{"wasi:cli/run@0.3"}, kind: Command, run: Entry{"wasi:cli/run@0.3", 3}},
		{exports: []string{"wasi:cli/run@0.3.0"}, kind: Command, run: Entry{"wasi:cli/run@0.3.0", 3}},
		{exports: []string{"wasi:cli/run@0.3.0", "wasi:cli/run@0.2.9"}, kind: Command, run: Entry{"wasi:cli/run@0.3.0", 3}},
		{exports: []string{"wasi:cli/run@0.2.9", "wasi:cli/run@0.3.0"}, kind: Command, run: Entry{"wasi:cli/run@0.3.0", 3}},
		{exports: []string{"wasi:cli/run@0.2.9", "wasi:cli/run@0.2.10", "wasi:cli/run@0.2.4"}, kind: Command, run: Entry{"wasi:cli/run@0.2.10", 2}},
		{exports: []string{"wasi:cli/run@0.2.99999999999999999999999", "wasi:cli/run@0.2.4"}, kind: Command, run: Entry{"wasi:cli/run@0.2.99999999999999999999999", 2}},
		{exports: []string{"wasi:http/incoming-handler@0.2.3"}, kind: Handler, handle: Entry{"wasi:http/incoming-handler@0.2.3", 2}},
		{exports: []string{"wasi:http/incoming-handler@0.2.3", "wasi:http/handler@0.3.1"}, kind: Handler, handle: Entry{"wasi:http/handler@0.3.1", 3}},
		{
			exports: []string{"wasi:http/incoming-handler@0.2.3", "wasi:cli/run@0.2.3"}, kind: CommandAndHandler,
			run: Entry{"wasi:cli/run@0.2.3", 2}, handle: Entry{"wasi:http/incoming-handler@0.2.3", 2},
		},
	} {
		w := Of(exporting(tt.exports...))
		if w.Kind() != tt.kind || w.Run != tt.run || w.Handle != tt.handle {
			t.Errorf("%q: %v, %+v, %+v; want %+v", tt.exports, w.Kind(), w.Run, w.Handle, tt)
		}
		if err := w.Check(); (err == nil) != (tt.kind != Other) {
			t.Errorf("%q: %v", tt.exports, err)
		}
	}
}

// TestOnlyInstancesAreCalled: an item of another sort may have the name of an interface.
func TestOnlyInstancesAreCalled(t *testing.T) {
	for _, sort := range []binary.Sort{binary.SortFunc, binary.SortType, binary.SortComponent, binary.SortCoreModule} {
		c := exporting("wasi:cli/run@0.2.0")
		c.Definitions[0].(*binary.Export).Sort = sort
		if k := Of(c).Kind(); k != Other {
			t.Errorf("sort %d: %v", sort, k)
		}
	}
}

func TestVersionSuffix(t *testing.T) {
	c := exporting("wasi:cli/run@0.2.8", "wasi:cli/run@0.2")
	c.Definitions[1].(*binary.Export).Name.VersionSuffix = ".10"
	w := Of(c)
	if want := (Entry{"wasi:cli/run@0.2", 2}); w.Run != want {
		t.Errorf("run is %+v, want %+v", w.Run, want)
	}
	if lines := w.Lines(); lines[1] != "export wasi:cli/run@0.2.10;" {
		t.Errorf("%q", lines)
	}
	c.Definitions[1].(*binary.Export).Name.VersionSuffix = ".0-rc.1"
	if w := Of(c); w.Run.Name != "wasi:cli/run@0.2.8" {
		t.Errorf("run is %+v", w.Run)
	}
}

func TestCheck(t *testing.T) {
	many := make([]string, 30)
	for i := range many {
		many[i] = "i" + strings.Repeat("x", i)
	}
	const rest = " and is neither a command (wasi:cli/run@0.2 or @0.3) nor an HTTP handler (wasi:http/incoming-handler@0.2 or wasi:http/handler@0.3)"
	for _, tt := range []struct {
		exports []string
		want    string
	}{
		{nil, "the component exports nothing" + rest},
		{[]string{"a:b/c@1.0.0", "wasi:cli/run@0.4.0"}, "the component exports a:b/c@1.0.0, wasi:cli/run@0.4.0" + rest},
		{[]string{"a\n\x1b[31m"}, `the component exports a\u{a}\u{1b}[31m` + rest},
		{many, "the component exports i, ix, ixx, ixxx, ixxxx, ixxxxx, ixxxxxx, ixxxxxxx and 22 more" + rest},
	} {
		if err := Of(exporting(tt.exports...)).Check(); err == nil || err.Error() != tt.want {
			t.Errorf("%v\nwant %s", err, tt.want)
		}
	}
	long := slices.Repeat([]string{strings.Repeat("n", 10_000)}, 10_000)
	if err := Of(exporting(long...)).Check(); len(err.Error()) > 1500 {
		t.Errorf("an error has %d bytes", len(err.Error()))
	}
}

// TestOfARealComponent: the world of a component as a tool assembles it.
func TestOfARealComponent(t *testing.T) {
	b, err := wasmtime.Wat2Wasm(`(component
		(import "wasi:cli/environment@0.2.6" (instance (export "get-arguments" (func (result (list string))))))
		(import "log" (func $log (param "text" string)))
		(import "shape" (type (sub resource)))
		(import "tools" (instance))
		(import "code" (core module))
		(import "part" (component))
		(component $run
			(core module $m (func (export "f") (result i32) i32.const 0))
			(core instance $i (instantiate $m))
			(func (export "run") (result (result)) (canon lift (core func $i "f"))))
		(instance $run (instantiate $run))
		(export "wasi:cli/run@0.2.6" (instance $run))
		(export "note" (func $log)))`)
	if err != nil {
		t.Fatal(err)
	}
	c, err := binary.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	w := Of(c)
	if w.Kind() != Command || w.Run.Name != "wasi:cli/run@0.2.6" || w.Check() != nil {
		t.Errorf("%v, %+v, %v", w.Kind(), w.Run, w.Check())
	}
	want := []string{
		"import wasi:cli/environment@0.2.6;", "import log: func;", "import shape: type;", "import tools: interface;",
		"import code: core module;", "import part: component;",
		"export wasi:cli/run@0.2.6;", "export note: func;",
	}
	if got := w.Lines(); !reflect.DeepEqual(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestLinesAreBounded(t *testing.T) {
	w := Of(exporting(slices.Repeat([]string{strings.Repeat("a:\x1b/", 2000)}, 5000)...))
	w.Imports = w.Exports[:maxLines+1]
	got := w.Lines()
	if len(got) != 2*maxLines+2 || got[maxLines] != "// 1 more to import" || got[2*maxLines+1] != "// 4800 more to export" {
		t.Errorf("%d lines, %q, %q", len(got), got[maxLines], got[len(got)-1])
	}
	for _, line := range got {
		if len(line) > 200 || strings.ContainsAny(line, "\x1b\n") {
			t.Fatalf("a line %q", line)
		}
	}
}
