package translate

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

// named is a module whose functions have these names.
func named(names ...string) []byte {
	var list [][]byte
	for i, n := range names {
		list = append(list, b(u(i), n))
	}
	functions := vec(list...)
	return b(funcs(splitBodies(len(names))...), sec(sectionCustom, b("name", 0, 2, u(1), 'm', 1, u(len(functions)), functions)))
}

// TestNames: the names of functions are stored separately, shortened and made visible. All custom
// sections are removed.
func TestNames(t *testing.T) {
	long := strings.Repeat("n", 99_000)
	wide := strings.Repeat("ä", 70)
	module := b(named("main", long, "a\x00\n\x1b[31m\u202e\xff", wide, strings.Repeat("n", 128)), sec(sectionCustom, b(".debug_info", repeat(10_000, 7))))
	out := accepted(t, module, Limits{})
	for i, want := range []string{"main", long[:125] + "…", `a\u{0}\u{a}\u{1b}[31m\u{202e}` + "\ufffd", wide[:124] + "…", strings.Repeat("n", 128), ""} {
		if got := out.Info.Name(uint32(i)); got != want || len(got) > maxName || !utf8.ValidString(got) {
			t.Errorf("function %d: %q, want %q", i, got, want)
		}
	}
	if bytes.Contains(out.Wasm, []byte("nnnn")) || bytes.Contains(out.Wasm, []byte("debug_info")) {
		t.Error("names or custom sections are left")
	}
	if out.Info.Functions != 5 {
		t.Errorf("%d functions", out.Info.Functions)
	}
}

// TestNamesAreBounded: all names together are bounded, and a name section with wrong lengths costs
// nothing.
func TestNamesAreBounded(t *testing.T) {
	many := make([]string, 60_000)
	for i := range many {
		many[i] = fmt.Sprintf("%0200d", i)
	}
	out := accepted(t, named(many...), Limits{})
	if n := len(out.Info.Append(nil)); n > maxNames+100 || n < maxNames-1000 {
		t.Errorf("%d bytes", n)
	}
	if out.Info.Name(1) == "" || out.Info.Name(59_999) != "" {
		t.Error("the first names are not those that are kept")
	}
	for _, content := range [][]byte{{}, b("name", 1), b("name", 1, 100), b("name", 1, 5, 255, 255, 255, 255, 15), b(200), b("name", 1, 6, 2, 5, 1, 'a', 3, 1)} {
		if _, err := Module(b(funcs(body()), sec(sectionCustom, content)), Finished, Limits{}); err != nil {
			t.Errorf("%x: %v", content, err)
		}
	}
}

// TestExports: exports that the caller does not name are removed, a name with our prefix is
// refused, and functions whose export was removed may still be named.
func TestExports(t *testing.T) {
	exported := func(names ...string) []byte {
		var list [][]byte
		for _, n := range names {
			list = append(list, b(n, 0, 0))
		}
		return wasm(sec(sectionType, vec(b(0x60, 0, 0))), sec(sectionFunction, vec(u(0))), sec(sectionExport, vec(list...)), sec(sectionCode, vec(b(2, body()))))
	}
	out, err := Module(exported("_start", "other", strings.Repeat("x", 50_000), "more"), Finished, Limits{}, "_start", "more")
	if err != nil {
		t.Fatal(err)
	}
	if want := exported("_start", "more"); !bytes.Equal(out.Wasm, want) {
		t.Errorf("%x, want %x", out.Wasm, want)
	}
	_, err = Module(exported("_start", GrowExport), Finished, Limits{})
	if err == nil || !strings.Contains(err.Error(), `"krustlet:grow"`) {
		t.Errorf("a name of ours: %v", err)
	}
	_, err = Module(exported(OwnExports+strings.Repeat("y", 90_000)), Finished, Limits{})
	if err == nil || len(err.Error()) > 400 {
		t.Errorf("a long name of ours: %v", err)
	}
}

// TestNumbersStayOurs: a module cannot use the added parts by their numbers.
func TestNumbersStayOurs(t *testing.T) {
	grow := b(opI32Const, 0, opMemoryGrow, 0, 0x1a)
	for name, code := range map[string][]byte{
		"the table of the host":  b(opI32Const, 0, opRefNull, typeFuncref, opTableSet, 0),
		"a call through it":      b(opI32Const, 0, opCallIndir, 0, 0),
		"copying out of it":      b(opI32Const, 0, opI32Const, 0, opI32Const, 0, prefixMisc, 14, 0, 0),
		"filling it":             b(opI32Const, 0, opRefNull, typeFuncref, opI32Const, 1, prefixMisc, 17, 0),
		"a function that grows":  b(opI32Const, 0, opCall, 1, 0x1a),
		"the same by reference":  b(opRefFunc, 1, 0x1a),
		"the type of the host's": b(opBlock, 1, opEnd),
		"a tail call of it":      b(opReturnCall, 1),
	} {
		_, err := Module(funcs(body(grow, code)), Finished, Limits{})
		var format *FormatError
		if !errors.As(err, &format) || format.Function != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	element := wasm(sec(sectionType, vec(b(0x60, 0, 0))), sec(sectionFunction, vec(u(0))), sec(sectionMemory, vec(b(0, 1))),
		sec(sectionElement, vec(b(0, opI32Const, 0, opEnd, 1, 0))), sec(sectionCode, vec(b(7, body(grow)))))
	if _, err := Module(element, Finished, Limits{}); err == nil {
		t.Error("an element segment reaches the host's table")
	}
}

// TestDamagedModules: bytes that are not a module are refused. The error has a reason and a
// position.
func TestDamagedModules(t *testing.T) {
	function := sec(sectionType, vec(b(0x60, 0, 0)))
	for want, module := range map[string][]byte{
		"at 0x0: this is no WebAssembly module":              []byte("#!/bin/sh"),
		"at 0x4: this is a component":                        b([]byte("\x00asm\x0d\x00\x01\x00")),
		"at 0x4: this is WebAssembly of another version":     b([]byte("\x00asm\x02\x00\x00\x00")),
		"at 0x8: a section 77 is not known here":             wasm(sec(77, nil)),
		"section 1 is twice there, or in the wrong place":    wasm(function, function),
		"section 3 is twice there":                           wasm(sec(sectionCode, nil), sec(sectionFunction, nil)),
		"1 functions have no code":                           wasm(function, sec(sectionFunction, vec(u(0)))),
		"code of 1 functions, and there are 0":               wasm(sec(sectionCode, vec(b(2, body())))),
		"bytes behind the end of section 1":                  wasm(sec(sectionType, b(0, 0))),
		"there is no type 1":                                 wasm(function, sec(sectionFunction, vec(u(1)))),
		"function 0 at 0x1c: there is no local 0":            funcs(body(opLocalGet, 0, 0x1a)),
		"there is no label 1":                                funcs(body(opBr, 1)),
		"an else without its if":                             funcs(body(opElse)),
		"code behind the end of the function":                funcs(b(0, opEnd, 1)),
		"function 0 at 0x1f: the module ends too early":      funcs(b(0, opBlock, typeEmpty, opEnd)),
		"an instruction 0x27 is not known here":              funcs(body(0x27)),
		"an instruction 0xfd 0x9a is not known here":         funcs(body(prefixSIMD, 0x9a, 1)),
		"there is no data segment 0":                         funcs(body(prefixMisc, 9, 0)),
		"a number is longer than 32 bits":                    funcs(body(opI32Const, 0xff, 0xff, 0xff, 0xff, 0x3f)),
		"flags of a memory access 0x80 are not known":        funcs(body(opI32Const, 0, 0x28, 0x80, 1, 0)),
		"an instruction 0x10 cannot be in a constant":        wasm(sec(sectionGlobal, vec(b(typeI32, 0, opCall, 0, opEnd)))),
		"there is no memory 0":                               wasm(sec(sectionData, vec(b(0, opI32Const, 0, opEnd, 0)))),
		"function 0 takes or gives something, and cannot be": wasm(sec(sectionType, vec(b(0x60, 1, typeI32, 0))), sec(sectionFunction, vec(u(0))), sec(sectionStart, u(0)), sec(sectionCode, vec(b(2, body())))),
		"65537 pages of a memory, at most 65536 may be":      wasm(sec(sectionMemory, vec(b(0, u(65_537))))),
		"100 types cannot be in 0 bytes":                     wasm(sec(sectionType, u(100))),
		"at 0xa: 5 bytes are to follow, and there are 0":     wasm([]byte{sectionType, 5}),
	} {
		if _, err := Module(module, Finished, Limits{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestFeatureErrors tests the sentence that users see.
func TestFeatureErrors(t *testing.T) {
	module := funcs(body(), body(1, opTryTable, typeEmpty, 0, opEnd))
	_, err := Module(module, Finished.Without(ExceptionHandling), Limits{})
	var off *FeatureError
	if !errors.As(err, &off) || off.Feature != ExceptionHandling || err.Error() != "function 1 at 0x21: exception handling is off with this engine" {
		t.Errorf("%v", err)
	}
	for _, f := range All() {
		if f.String() == "" || f.String() == "unknown" || Finished.Has(f) == f.Never() {
			t.Errorf("%d: %v", f, f)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("what is never on can be on")
		}
	}()
	Of(SharedMemory)
}

// TestInfo tests the data about a module, and that encoding and reading do not change it.
func TestInfo(t *testing.T) {
	module := b(wasm(sec(sectionType, vec(b(0x60, 0, 0))), sec(sectionFunction, vec(u(0), u(0))),
		sec(sectionTable, vec(b(typeFuncref, 1, 3, 9), b(typeExternref, 0, 7))), sec(sectionMemory, vec(b(0, 2), b(1, 1, 5))),
		sec(sectionStart, u(1)), sec(sectionCode, vec(b(2, body()), b(7, body(opI32Const, 0, opMemoryGrow, 1, 0x1a))))),
		sec(sectionCustom, b("name", 1, u(11), vec(b(0, "one"), b(1, "two")))))
	out := accepted(t, module, Limits{})
	read, err := ReadInfo(out.Info.Append([]byte("before"))[6:])
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []*Info{&out.Info, read} {
		if i.MemoryBytes() != 3*pageSize || i.TableBytes() != 80 || !i.Starts || !i.Grows || i.Functions != 2 || i.Overhead == 0 || i.InstanceOverhead == 0 {
			t.Errorf("%+v", i)
		}
		if len(i.Memories) != 2 || i.Memories[0].Max != 1<<16 || i.Memories[1] != (Memory{1, 1, 5}) || i.Tables[0] != (Table{0, 3, 9}) {
			t.Errorf("%+v %+v", i.Memories, i.Tables)
		}
		if i.Name(0) != "one" || i.Name(1) != "two" || i.Name(2) != "" {
			t.Errorf("names %q %q", i.Name(0), i.Name(1))
		}
	}
	whole := out.Info.Append(nil)
	for n := range whole {
		if _, err := ReadInfo(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are read", n, len(whole))
		}
	}
	huge := Info{Memories: []Memory{{Min: math.MaxUint64 / pageSize}, {Min: math.MaxUint64 / pageSize}}}
	if huge.MemoryBytes() != math.MaxUint64 {
		t.Errorf("%d", huge.MemoryBytes())
	}
}

// TestOriginalOffsets: each instruction is found at its offset in the original module.
func TestOriginalOffsets(t *testing.T) {
	mark := func(i int) []byte { return b(opI32Const, 0xf0, 0xe1, i, 0x1a) } // bytes that do not occur anywhere else
	grow := b(opI32Const, 0, opMemoryGrow, 0, 0x1a)
	bodies := splitBodies(200)
	bodies[3] = body(mark(1), grow, mark(2), grow, grow, mark(3))
	bodies[150] = body(mark(4), repeat(50, grow...), mark(5))
	module := b(funcs(bodies...)[:8], sec(sectionCustom, b("front", repeat(300, 1))), funcs(bodies...)[8:])
	out := accepted(t, module, Limits{})
	read, err := ReadInfo(out.Info.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 5; i++ {
		was, is := bytes.Index(module, mark(i)), bytes.Index(out.Wasm, mark(i))
		if was < 0 || is < 0 || was == is || read.Original(uint64(is)) != uint64(was) {
			t.Errorf("mark %d: from 0x%x to 0x%x, which was 0x%x", i, was, is, read.Original(uint64(is)))
		}
	}
	if n := len(out.Info.shifts) / shiftSize; n > 60 {
		t.Errorf("%d shifts", n)
	}
}

func FuzzReadInfo(f *testing.F) {
	out, err := Module(named("a", "b", "c"), Finished, Limits{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(out.Info.Append(nil), uint32(1), uint64(40))
	f.Fuzz(func(t *testing.T, encoded []byte, function uint32, offset uint64) {
		i, err := ReadInfo(encoded)
		if err != nil {
			return
		}
		if n := i.Name(function); len(n) > maxName || !utf8.ValidString(n) {
			t.Errorf("%q", n)
		}
		i.Original(offset)
		i.MemoryBytes()
		i.TableBytes()
		if len(i.Memories)+len(i.Tables) > len(encoded) {
			t.Error("more than there is room for")
		}
	})
}

// FuzzModule: the code never panics, errors are of the three kinds, and the result is at most a
// little larger than the module.
func FuzzModule(f *testing.F) {
	for _, seed := range [][]byte{named("a"), joins(5, 5), wideBlocks(3, 4), catches(3, 3), wideTable(3, 4), loops(4, 4)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		out, err := Module(module, Finished, Limits{})
		if err != nil {
			var format *FormatError
			var limit *LimitError
			var feature *FeatureError
			if !errors.As(err, &format) && !errors.As(err, &limit) && !errors.As(err, &feature) || len(err.Error()) > 500 {
				t.Errorf("%v", err)
			}
			return
		}
		if len(out.Wasm) > 2*len(module)+500 {
			t.Errorf("%d bytes from %d", len(out.Wasm), len(module))
		}
		if _, err := ReadInfo(out.Info.Append(nil)); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkModule(bench *testing.B) {
	code := b(opBlock, typeEmpty, opLocalGet, 0, 0x28, 2, 4, opLocalGet, 1, 0x6a, 0x22, 1, opBrIf, 0, opEnd, opCall, 0)
	one := b(1, 4, typeI32, repeat(200, code...), opEnd)
	var all [][]byte
	for range 2000 {
		all = append(all, one)
	}
	module := funcs(all...)
	bench.SetBytes(int64(len(module)))
	for bench.Loop() {
		if _, err := Module(module, Finished, Limits{}); err != nil {
			bench.Fatal(err)
		}
	}
}
