package binary

import (
	"errors"
	"reflect"
	"testing"
)

// FuzzDecode: whatever the bytes are, there is no panic, memory is in proportion to them, an error
// has its place within them, and the same bytes give the same result.
func FuzzDecode(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c *Component
		var err error
		n := allocated(func() { c, err = everything(b) })
		if most := uint64(len(b))*memoryPerByte + memoryAtFirst; n > most {
			t.Errorf("%d bytes are allocated for %d", n, len(b))
		}
		checkError(t, b, err)
		again, errAgain := everything(b)
		if !reflect.DeepEqual(c, again) || !reflect.DeepEqual(err, errAgain) {
			t.Errorf("decoded twice: %s, %v, and %s, %v", show(c), err, show(again), errAgain)
		}
		if err == nil && !IsComponent(b) {
			t.Error("it is decoded, and is no component")
		}
	})
}

// FuzzReadCore is FuzzDecode for core modules.
func FuzzReadCore(f *testing.F) {
	for _, b := range seeds(f) {
		if c, err := Decode(b); err == nil {
			for _, m := range find[*CoreModule](c) {
				f.Add(m.Bytes)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c *Core
		var err error
		n := allocated(func() { c, err = ReadCore(b) })
		if most := uint64(len(b))*memoryPerByte + memoryAtFirst; n > most {
			t.Errorf("%d bytes are allocated for %d", n, len(b))
		}
		checkError(t, b, err)
		if again, _ := ReadCore(b); !reflect.DeepEqual(c, again) {
			t.Error("read twice, with two results")
		}
		if err == nil {
			checkCore(t, c)
		}
	})
}

func checkError(t *testing.T, b []byte, err error) {
	t.Helper()
	var e *Error
	switch {
	case err == nil:
	case !errors.As(err, &e) || errors.Is(err, ErrMalformed) == errors.Is(err, ErrUnsupported):
		t.Errorf("the error %v is of no kind, or of both", err)
	case e.At < 0 || e.At > len(b) || e.What == "":
		t.Errorf("the error %v has its place at %d of %d", err, e.At, len(b))
	}
}

// checkCore holds ReadCore to what Core promises.
func checkCore(t *testing.T, c *Core) {
	t.Helper()
	var types []CoreSubType
	for _, g := range c.Groups {
		types = append(types, g...)
	}
	check := func(x CoreExtern) {
		if x.Sort == SortCoreFunc || x.Sort == SortCoreTag {
			if _, ok := types[x.Type].Type.(*CoreFuncType); !ok {
				t.Errorf("%+v is of no function's type", x)
			}
		}
		if x.Value.Kind == CoreRef && x.Value.Heap.Abstract == 0 && int(x.Value.Heap.Index) >= len(types) {
			t.Errorf("%+v refers to no type", x)
		}
	}
	for _, i := range c.Imports {
		check(i.Type)
	}
	for _, e := range c.Exports {
		check(e.Type)
		if x, ok := c.Export(e.Name); !ok || x != e.Type {
			t.Errorf("the export %q is %+v, %v", e.Name, x, ok)
		}
	}
}

// seeds are components that have everything.
func seeds(t testing.TB) [][]byte {
	types := bytesOf(
		typeRecord, 1, name("a"), 0x7f, typeVariant, 1, name("c"), 1, 0x73, 0, typeFlags, 1, name("f"), typeEnum, 1, name("e"),
		typeTuple, 1, 0, typeList, 0, typeFixedList, 0, 4, typeOption, 0, typeResult, 1, 0, 1, 0x7f, typeOwn, 0, typeBorrow, 0,
		typeStream, 1, 0, typeFuture, 0, typeMap, 0x73, 0, typeResource, 0x7f, 1, 0, typeAsyncFunc, 1, name("p"), 0, 0, 0,
		typeComponent, 5, declareCoreType, 0x60, 0, 0, declareType, 0x73, declareAlias, 3, 2, 1, 0, declareImport, 0, name("i"), 1, 0,
		declareExport, 2, name("x"), 2, 0, name("a:b/c"), 2, name("id"), 3, 1)
	coreTypes := bytesOf(0x4e, 2, 0x50, 0, 0x5f, 1, 0x78, 1, 0x4f, 1, 0, 0x5e, 0x64, 0, 0,
		0x50, 4, 1, 0x60, 0, 0, 0, name("a"), name("b"), 1, 0x70, 1, 0, 1, 2, 0x10, 1, 1, 0, 3, name("c"), 3, 0x7f, 1)
	canons := bytesOf(canonLift, 0, 0, 2, optionUTF16, optionMemory, 0, 0, canonLower, 0, 0, 1, optionAsync,
		int(TaskReturn), 0, 0x73, 0, int(ContextGet), 0x7f, 0, int(StreamRead), 0, 1, optionRealloc, 0, int(WaitableSetWait), 1, 0, int(ThreadYield), 0)
	core := module(section(0, name("x")), section(1, 1, 0x60, 1, 0x7f, 0), section(2, 1, name("a"), name("b"), 2, 1, 1, 2), section(3, 1, 0),
		section(4, 2, 0x70, 0, 1, 0x40, 0, 0x70, 0, 1, 0xd2, 0, 0x0b), section(13, 1, 0, 0),
		section(6, 2, 0x7f, 0, 0x41, 1, 0x0b, 0x7b, 0, 0xfd, 12, make([]byte, 16), 0x0b), section(7, 2, name("f"), 0, 0, name("g"), 3, 0), section(10, 0))
	return [][]byte{
		nil, component(), module(), core,
		component(section(sectionType, 17, types), section(sectionCoreType, 2, coreTypes)),
		component(section(sectionCoreModule, core), section(sectionCanon, 7, canons)),
		component(named(section(namesComponent, name("app")), section(namesOfSort, 0, 0x11, 1, 0, name("main"))),
			producersSection(1, name("sdk"), 1, name("a"), name("1"))),
		component(section(sectionComponent, component(section(sectionComponent, component())))),
		component(section(sectionStart, 0, 0, 0)), component(section(sectionValue, 0)),
		nestedTypes(5), nestedComponents(5),
		assemble(t, `(component
			(import "a:b/c@0.2.1" (instance $i (export "r" (type $r (sub resource))) (export "f" (func (param "x" (borrow $r)) (result string)))))
			(core module $m (memory (export "memory") 1) (func (export "f") (param i32) (result i32) unreachable)
				(func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
			(core instance $n (instantiate $m)) (alias export $i "f" (func $f))
			(core func $lowered (canon lower (func $f) (memory $n "memory") (realloc (func $n "realloc"))))
			(core instance (export "f" (func $lowered)))
			(func $g (param "a" (list u8)) (result u32) (canon lift (core func $n "f") (memory $n "memory") (realloc (func $n "realloc"))))
			(component $c (import "g" (func (param "a" (list u8)) (result u32))) (type $t (record (field "x" u8))) (export "t" (type $t)))
			(instance $made (instantiate $c (with "g" (func $g)))) (export "g" (func $g)) (export "made" (instance $made)))`),
	}
}

// TestSeeds: the seeds that are no hostile ones are read.
func TestSeeds(t *testing.T) {
	read := 0
	for _, b := range seeds(t) {
		if _, err := everything(b); err == nil {
			read++
		} else if IsComponent(b) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("% x: %v", b, err)
		}
	}
	if read != 8 {
		t.Errorf("%d seeds are read, want 8", read)
	}
}
