package wasmtime

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// engineFolder is the folder to which `make engine` writes the library and its headers.
const engineFolder = "../../bin/engine"

// headers are the header folders of every library that can be linked here.
func headers(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/bytecodealliance/wasmtime-go/v39").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"wasmtime-go's": filepath.Join(strings.TrimSpace(string(out)), "build/include")}
	engine := filepath.Join(engineFolder, "include")
	if _, err := os.Stat(engine); err == nil {
		all["hack/engine's"] = engine
	} else if supported() {
		t.Errorf("the library is linked, and its headers are not there: %v", err)
	}
	return all
}

// TestDeclarationsAreTheLibrarys: the C compiler finds no difference between capi.h and the headers
// of the libraries in types of functions, sizes and offsets of structs, and numbers. The test does
// not compare const, because the libraries differ in it and no code depends on it.
func TestDeclarationsAreTheLibrarys(t *testing.T) {
	const included = `
		#include <stdbool.h>
		#include <stddef.h>
		#include <stdint.h>
		#include <string.h>
		#include <assert.h>
		#include <sys/types.h>
		#define const
		#include <wasmtime.h>
		`
	for name, folder := range headers(t) {
		ours := included
		if strings.HasPrefix(name, "hack") {
			ours = "#define ENGINE_OF_HACK\n" + included
		}
		if said, err := compileC(t, folder, ours+`#include "capi.h"`); err != nil {
			t.Errorf("%s headers: %v\n%s", name, err, said)
		}
		if said, err := compileC(t, folder, included+`_Static_assert(sizeof(wasmtime_val_t) == 33, "");`); err == nil || !strings.Contains(said, "assert") {
			t.Errorf("%s headers: what differs is not found: %v\n%s", name, err, said)
		}
		if said, err := compileC(t, folder, included+`bool wasmtime_trap_code(wasm_trap_t *, uint16_t *);`); err == nil || !strings.Contains(said, "conflicting types") {
			t.Errorf("%s headers: a function that differs is not found: %v\n%s", name, err, said)
		}
	}
}

func compileC(t *testing.T, headers, text string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "gcc", "-std=gnu11", "-fsyntax-only", "-I", headers, "-I", ".", "-x", "c", "-")
	cmd.Stdin = strings.NewReader(text)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	return said.String(), err
}
