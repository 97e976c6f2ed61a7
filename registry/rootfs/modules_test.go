package rootfs

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	aModule    = "\x00asm\x01\x00\x00\x00"
	aComponent = "\x00asm\x0d\x00\x01\x00"
)

func TestModules(t *testing.T) {
	root, _, err := unpack(t, roomy, archive(t,
		file("app.wasm", aModule), file("bin/tool", aComponent+"\x00"), link("bin/same", "app.wasm"), symlink("bin/link", "/app.wasm"),
		file("text.wasm", "(module)"), file("short.wasm", "\x00asm"), file("empty.wasm", ""), file("future.wasm", "\x00asm\x02\x00\x00\x00")))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Modules(root, 1000)
	want := map[string]Module{
		"/app.wasm": {digestOf([]byte(aModule)), 8, false},
		"/bin/same": {digestOf([]byte(aModule)), 8, false},
		"/bin/tool": {digestOf([]byte(aComponent + "\x00")), 9, true},
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("found %v, %v; want %v", got, err, want)
	}
	if _, err := Modules(root, 8); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a module of 9 bytes where 8 are allowed: %v", err)
	}
}

func TestModulesAreBounded(t *testing.T) {
	root := t.TempDir()
	first := filepath.Join(root, "first")
	if err := os.WriteFile(first, []byte(aModule), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range maxModules {
		if err := os.Link(first, filepath.Join(root, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Modules(root, 1000); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "modules") {
		t.Errorf("error %v", err)
	}
}

func TestProgram(t *testing.T) {
	root, _, err := unpack(t, roomy, archive(t,
		file("app.wasm", aModule), file("usr/bin/tool.wasm", aModule), file("opt/x/tool", aModule), file("usr/bin/sh", "#!"),
		symlink("bin", "usr/bin"), symlink("usr/bin/t", "../../opt/x/tool"), symlink("usr/bin/abs", "/app.wasm"), symlink("out", "../../../../../../app.wasm"),
		symlink("loop", "loop"), symlink("none", "nowhere"), symlink("etc", "/etc")))
	if err != nil {
		t.Fatal(err)
	}
	modules, err := Modules(root, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path, workDir string
		want                string
	}{
		{name: "/app.wasm", want: "/app.wasm"},
		{name: "/app", want: "/app.wasm"},
		{name: "app.wasm", want: "/app.wasm"},
		{name: "./app", want: "/app.wasm"},
		{name: "tool", want: "/usr/bin/tool.wasm"},
		{name: "tool", path: "/opt/x:/usr/bin", want: "/opt/x/tool"},
		{name: "tool", path: "/usr/bin:/opt/x", want: "/usr/bin/tool.wasm"},
		{name: "tool", path: "relative:/nowhere", want: ""},
		{name: "tool", path: "/nowhere", workDir: "/opt/x", want: "/opt/x/tool"},
		{name: "x/tool", workDir: "/opt", want: "/opt/x/tool"},
		{name: "opt/x/tool", workDir: "/usr", want: "/opt/x/tool"},
		{name: "../x/tool", workDir: "/opt/x", want: "/opt/x/tool"},
		{name: "t", want: "/opt/x/tool"},
		{name: "/bin/abs", want: "/app.wasm"},
		{name: "/out", want: "/app.wasm"},
		{name: "/bin/../bin/tool", want: "/usr/bin/tool.wasm"},
		{name: "/../../app.wasm", want: "/app.wasm"},
		{name: "sh"}, {name: "/usr/bin"}, {name: "/"}, {name: ""}, {name: "."}, {name: ".."}, {name: "/app.wasm/x"}, {name: "loop"}, {name: "none"},
		{name: "/etc/passwd"}, {name: strings.Repeat("x/", 2000)},
	} {
		var env []string
		if tt.path != "" {
			env = []string{"A=B", "PATH=/overridden", "PATH=" + tt.path}
		}
		at, found, err := Program(root, modules, tt.name, env, tt.workDir)
		if err != nil || at != tt.want || found != (tt.want != "") {
			t.Errorf("%q in %q, PATH=%q: %q, %v, %v; want %q of %v", tt.name, tt.workDir, tt.path, at, found, err, tt.want, slices.Sorted(maps.Keys(modules)))
		}
	}
}
