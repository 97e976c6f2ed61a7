package wrap

import (
	"bytes"
	"strings"
	"testing"
)

// program is a module with these imports, each of a function of type 0.
func program(imports ...string) []byte {
	content := []byte{byte(len(imports))}
	for _, name := range imports {
		from, name, _ := strings.Cut(name, ".")
		content = append(append(content, byte(len(from))), from...)
		content = append(append(append(content, byte(len(name))), name...), functionKind, 0)
	}
	out := []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00")
	return append(append(out, importing, byte(len(content))), content...)
}

// adapter begins as the real one: a component whose first section is a core module.
var adapter = []byte("\x00asm\x0d\x00\x01\x00" + "\x01\x08\x00asm\x01\x00\x00\x00" + strings.Repeat("what follows ", 20))

func TestTwins(t *testing.T) {
	given := program(world+".a", world+".b", world+".a", world+".a")
	before := bytes.Clone(given)
	component, err := Command(adapter, given)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(given, before) {
		t.Error("the module of the caller has changed")
	}
	renamed := program(world+".a", world+".b", "wasi_snapshot_preview2.a", "wasi_snapshot_preview3.a")
	if !bytes.Contains(component, renamed) {
		t.Errorf("%q is not in the component", renamed)
	}
	if !bytes.HasSuffix(component, adapter[100:]) {
		t.Error("the adapter is not in the component")
	}
}

func TestCommandRefuses(t *testing.T) {
	four := world + ".a"
	whole := program(four)
	for name, c := range map[string]struct {
		module []byte
		why    string
	}{
		"nothing":           {nil, "not a core module"},
		"a component":       {adapter, "not a core module"},
		"cut":               {whole[:len(whole)-3], errShort.Error()},
		"cut imports":       {append(bytes.Clone(whole[:14]), importing, 1, 1), errShort.Error()},
		"another interface": {program("env.a"), `imports "a" of "env"`},
		"four times":        {program(four, four, four, four), "more than 3 times"},
	} {
		if _, err := Command(adapter, c.module); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %s", name, err, c.why)
		}
	}
}
