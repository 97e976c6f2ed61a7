package guests_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
)

// asyncType matches the word that makes a type of a function asynchronous. wasmtime-go does not
// know it. In the binary format it changes one byte: 0x40 becomes 0x43.
var asyncType = regexp.MustCompile(`(\(func(?: \$\S+)?) async \(`)

// TestAssembled: the components in git are what their texts say.
func TestAssembled(t *testing.T) {
	texts, err := filepath.Glob("wat/*.wat")
	if err != nil || len(texts) == 0 {
		t.Fatal("no components", err)
	}
	for _, text := range append(texts, "wrap/adapter.wat") {
		source, err := os.ReadFile(text)
		if err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(strings.TrimSuffix(text, ".wat") + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		want, err := wasmtimego.Wat2Wasm(asyncType.ReplaceAllString(string(source), "$1 ("))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		async := 0
		for i := range min(len(have), len(want)) {
			if have[i] == 0x43 && want[i] == 0x40 {
				async++
				want[i] = 0x43
			}
		}
		if !bytes.Equal(have, want) || async != len(asyncType.FindAll(source, -1)) {
			t.Errorf("%s was changed after it was assembled: run `go generate ./hack/guests`", text)
		}
	}
}

func TestWrapped(t *testing.T) {
	first := guests.Wrapped(t, "hello")
	component, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(guests.Build(t, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(component, []byte("\x00asm\x0d\x00\x01\x00")) {
		t.Errorf("it begins with % x", component[:8])
	}
	if len(component) < len(module) || guests.Wrapped(t, "hello") != first {
		t.Error("the component is not the module and more, or is another each time")
	}
}
