package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"
	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
)

func assemble(t *testing.T, text string) []byte {
	t.Helper()
	b, err := wasmtime.Wat2Wasm(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// aCommand is a component that is a command, and says what made it.
func aCommand(t *testing.T) []byte {
	return assemble(t, `(component
		(import "wasi:cli/environment@0.2.6" (instance))
		(import "log" (func (param "text" string)))
		(component $run
			(core module $m (@producers (language "C11" "") (processed-by "clang" "19.1.7")) (func (export "f") (result i32) i32.const 0))
			(core instance $i (instantiate $m))
			(func (export "run") (result (result)) (canon lift (core func $i "f"))))
		(instance $run (instantiate $run))
		(export "wasi:cli/run@0.2.6" (instance $run)))`)
}

var commandShown = componentView{
	Type:      "command",
	World:     []string{"import wasi:cli/environment@0.2.6;", "import log: func;", "export wasi:cli/run@0.2.6;"},
	Toolchain: []string{"language: C11", "processed-by: clang 19.1.7"},
}

// TestInspectComponents: inspect tells of a component what it is for.
func TestInspectComponents(t *testing.T) {
	host := newImageServer(t).Listener.Addr().String()
	o := newOperator(t)
	const neither = " and is neither a command (wasi:cli/run@0.2 or @0.3) nor an HTTP handler (wasi:http/incoming-handler@0.2 or wasi:http/handler@0.3)"
	for name, tt := range map[string]struct {
		file []byte
		want componentView
	}{
		"command": {aCommand(t), commandShown},
		"handler": {
			assemble(t, `(component (instance $i) (export "wasi:http/handler@0.3.0" (instance $i)))`),
			componentView{Type: "handler", World: []string{"export wasi:http/handler@0.3.0;"}},
		},
		"handler-of-0.2": {
			assemble(t, `(component (import "wasi:logging/logging" (instance)) (import "wasi:config/store@0.2.0-rc.1" (instance))
				(instance $i) (export "wasi:http/incoming-handler@0.2.3" (instance $i)))`),
			componentView{Type: "handler", World: []string{
				"import wasi:logging/logging;", "import wasi:config/store@0.2.0-rc.1;", "export wasi:http/incoming-handler@0.2.3;",
			}},
		},
		"command-and-handler": {
			assemble(t, `(component (instance $i) (export "wasi:cli/run@0.3.0" (instance $i)) (export "wasi:http/incoming-handler@0.2.3" (instance $i)))`),
			componentView{Type: "command and handler", World: []string{"export wasi:cli/run@0.3.0;", "export wasi:http/incoming-handler@0.2.3;"}},
		},
		"library": {
			assemble(t, `(component (instance $i) (export "my:math/add@1.0.0" (instance $i)))`),
			componentView{Type: "other", World: []string{"export my:math/add@1.0.0;"}, Error: "the component exports my:math/add@1.0.0" + neither},
		},
		"empty": {component, componentView{Type: "other", Error: "the component exports nothing" + neither}},
	} {
		ref := host + "/" + name + ":v1"
		o.must("push", o.file(name+".wasm", tt.file), ref)
		o.must("pull", ref)
		v := o.views("inspect", ref)[0]
		if v.Kind != "component" || v.Component == nil || !reflect.DeepEqual(*v.Component, tt.want) || v.Modules != nil {
			t.Errorf("%s: %+v, %+v", name, v, v.Component)
		}
	}
	ref := host + "/module:v1"
	o.must("push", o.file("module.wasm", emptyModule), ref)
	o.must("pull", ref)
	if out := o.must("inspect", ref); strings.Contains(out, "omponent") || strings.Contains(out, "modules") {
		t.Errorf("a module: %s", out)
	}
	if out := o.must("ls", "-o", "json"); strings.Contains(out, "world") {
		t.Errorf("ls: %s", out)
	}
}

// TestInspectRootfs: an image may have many modules, and some of them may be components.
func TestInspectRootfs(t *testing.T) {
	host := newImageServer(t).Listener.Addr().String()
	o := newOperator(t)
	files := map[string][]byte{"bin/tool.wasm": aCommand(t), "readme": []byte("x"), "bin/\x1b[31m.wasm": emptyModule}
	for i := range maxModules {
		files[fmt.Sprintf("m%02d.wasm", i)] = append(bytes.Clone(emptyModule), 0, 2, 1, byte(i))
	}
	if err := crane.Push(guests.Image(t, v1.Config{Entrypoint: []string{"tool"}}, files), host+"/tools:v1"); err != nil {
		t.Fatal(err)
	}
	o.must("pull", host+"/tools:v1")
	if v := o.views("inspect", host+"/tools:v1")[0]; v.Kind != "rootfs" || v.Modules != nil || v.Component != nil {
		t.Errorf("before it is unpacked: %+v", v)
	}
	o.must("pull", "--unpack", host+"/tools:v1")
	v := o.views("inspect", host+"/tools:v1")[0]
	if len(v.Modules) != maxModules || v.ModulesLeft != 2 || v.Component != nil {
		t.Fatalf("%d modules, %d left out", len(v.Modules), v.ModulesLeft)
	}
	tool := v.Modules[0]
	if tool.Path != "/bin/tool.wasm" || !tool.Main || tool.Kind != "component" || tool.Size != int64(len(files["bin/tool.wasm"])) || !reflect.DeepEqual(*tool.Component, commandShown) {
		t.Errorf("%+v, %+v", tool, tool.Component)
	}
	if m := v.Modules[1]; m.Path != `/bin/\u{1b}[31m.wasm` || m.Main || m.Kind != "module" || m.Component != nil || !strings.HasPrefix(m.Module, "sha256:") {
		t.Errorf("%+v", m)
	}
}

// TestInspectHostileComponents: what a component says cannot harm a terminal, nor fill it.
func TestInspectHostileComponents(t *testing.T) {
	host := newImageServer(t).Listener.Addr().String()
	o := newOperator(t)
	section := func(id byte, body []byte) []byte {
		return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
	}
	text := func(s string) []byte { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }
	imports := binary.AppendUvarint(nil, 5000) // of instances of the empty type
	producers := append(text("producers"), 1)
	producers = append(append(producers, text("language")...), binary.AppendUvarint(nil, 500)...)
	for i := range 5000 {
		name := fmt.Sprintf("\x1b]0;%d\a\n\u202e%s", i, strings.Repeat("x", 500))
		imports = append(append(append(imports, 0), text(name)...), 5, 0)
		if i < 500 {
			producers = append(append(producers, text(name)...), text("\u009b2J")...)
		}
	}
	hostile := bytes.Join([][]byte{component, section(7, []byte{1, 0x42, 0}), section(10, imports), section(0, producers)}, nil)
	damaged := append(bytes.Clone(component), 99, 0)
	image := func(name string, file []byte) string {
		if err := crane.Push(guests.Image(t, v1.Config{Entrypoint: []string{"/app.wasm"}}, map[string][]byte{"app.wasm": file}), host+"/"+name); err != nil {
			t.Fatal(err)
		}
		o.must("pull", "--unpack", host+"/"+name)
		return o.must("inspect", host+"/"+name)
	}
	out := image("hostile", hostile)
	if len(out) > 100_000 || strings.ContainsAny(out, "\x1b\a\u202e\u009b") || strings.Contains(out, `\u001b`) || !strings.Contains(out, "// 4800 more to import") {
		t.Errorf("%d bytes: %.2000s", len(out), out)
	}
	if out := image("damaged", damaged); !strings.Contains(out, `"error": "reading the component: at 0x8: there is no section 0x63"`) {
		t.Errorf("%s", out)
	}
	o.refused(exit.Failure, "the component cannot be published: reading the component: at 0x8", "push", o.file("damaged.wasm", damaged), host+"/push:v1")
}

// TestPushTime: a published module says that it was made in 1970, or when the user says.
func TestPushTime(t *testing.T) {
	host := newImageServer(t).Listener.Addr().String()
	o := newOperator(t)
	file := o.file("app.wasm", aCommand(t))
	first, second := o.must("push", file, host+"/app:v1"), o.must("push", file, host+"/app:v2")
	if first != second {
		t.Errorf("pushed %s and %s", first, second)
	}
	config := func() string {
		config, err := crane.Config(host + "/app:v1")
		if err != nil {
			t.Fatal(err)
		}
		return string(config)
	}
	if c := config(); !strings.HasPrefix(c, `{"created":"1970-01-01T00:00:00Z","author":null,`) || !strings.Contains(c, `"exports":["wasi:cli/run@0.2.6"]`) {
		t.Errorf("config %s", c)
	}
	o.env[createdVariable] = "1767323045"
	o.must("push", "--author=me", file, host+"/app:v1")
	if c := config(); !strings.HasPrefix(c, `{"created":"2026-01-02T03:04:05Z","author":"me",`) {
		t.Errorf("config %s", c)
	}
	for _, value := range []string{"-1", "yesterday", "999999999999", "1.5"} {
		o.env[createdVariable] = value
		o.refused(exit.Usage, "variable SOURCE_DATE_EPOCH: ", "push", file, host+"/app:v1")
	}
}
