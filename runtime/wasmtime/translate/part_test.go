package translate

import (
	"strings"
	"testing"
)

// partOf has functions of many types, and exports all.
func partOf() []byte {
	types := vec(
		b(typeFunction, u(0), u(0)),
		b(typeFunction, u(4), typeI32, typeI32, typeI32, typeI32, u(1), typeI32),
		b(typeFunction, u(3), typeI32, 0x7e, 0x7d, u(2), 0x7c, typeI32),
		b(typeFunction, u(1), typeV128, u(0)),
		b(typeFunction, u(0), u(1), typeExternref),
		b(typeFunction, u(200), repeat(200, typeI32), u(0)),
		b(typeFunction, u(4), typeI32, typeI32, typeI32, typeI32, u(1), 0x7e),
	)
	trap := b(u(3), u(0), 0x00, 0x0b)
	var functions, exports, code [][]byte
	for i := range 7 {
		functions = append(functions, u(i))
		code = append(code, trap)
		exports = append(exports, b(string(rune('g'-i)), externFunction, u(i)))
	}
	exports = append(exports, b("memory", externMemory, u(0)))
	return wasm(sec(sectionType, types), sec(sectionFunction, vec(functions...)), sec(sectionMemory, vec(b(0, u(1)))),
		sec(sectionExport, vec(exports...)), sec(sectionCode, vec(code...)), sec(sectionCustom, b("name", 0, u(6), "my\x01im")))
}

// TestParts: a part of a component keeps its exports, has the name that it is given, and what the
// host may call is known.
func TestParts(t *testing.T) {
	out, err := Part(partOf(), Finished, Limits{}, "engine's name")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(out.Wasm), "\x00\x15\x04name\x00\x0e\x0dengine's name") {
		t.Errorf("it ends with %q", out.Wasm[len(out.Wasm)-32:])
	}
	for _, info := range []*Info{&out.Info, reread(t, &out.Info)} {
		if info.Module != `my\u{1}im` {
			t.Errorf("its name is %q", info.Module)
		}
		for name, want := range map[string]Callable{
			"g": {}, "f": {Values: 4, Realloc: true}, "e": {Values: 3}, "a": {Values: 4},
			"d": {Values: -1}, "c": {Values: -1}, "b": {Values: -1}, "memory": {Values: -1}, "h": {Values: -1}, "": {Values: -1},
		} {
			if got, ok := info.Callable(name); ok != (want.Values >= 0) || ok && got != want {
				t.Errorf("%q: %+v, %v", name, got, ok)
			}
		}
	}
	again, err := Part(out.Wasm, Finished, Limits{}, "")
	if err != nil || len(again.Wasm) >= len(out.Wasm) || again.Info.Module != "engine's name" {
		t.Errorf("translated again: %d bytes, %v", len(again.Wasm), err)
	}
	command, err := Module(partOf(), Finished, Limits{})
	if err != nil || len(command.Wasm) >= len(again.Wasm) {
		t.Errorf("as a command: %d bytes, %v", len(command.Wasm), err)
	}
	if _, ok := command.Info.Callable("f"); ok {
		t.Error("the host may call what a command exports")
	}
	if command.Info.InstanceOverhead >= out.Info.InstanceOverhead || command.Info.Overhead >= out.Info.Overhead {
		t.Errorf("exports cost nothing: %+v", out.Info)
	}
	own := wasm(sec(sectionMemory, vec(b(0, u(1)))), sec(sectionExport, vec(b(GrowExport, externMemory, u(0)))))
	if _, err := Part(own, Finished, Limits{}, "name"); err == nil {
		t.Error("a part exports what is ours")
	}
}

func reread(t *testing.T, i *Info) *Info {
	t.Helper()
	out, err := ReadInfo(i.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
