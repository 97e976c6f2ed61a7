package registry

import (
	"slices"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

func TestArgv(t *testing.T) {
	words := func(w ...string) []string { return w }
	module := Module{Path: "/x", Image: "registry.test:5000/team/tool:v1@sha256:2"}
	rooted := Module{Path: "/store/fs/bin/app.wasm", Root: &Root{}, Image: module.Image}
	with := func(m Module, entrypoint, cmd []string) Module {
		m.Config = &manifest.Config{Entrypoint: entrypoint, Cmd: cmd}
		return m
	}
	for _, tt := range []struct {
		name          string
		m             Module
		command, args []string
		want          []string
	}{
		{"a module", module, nil, nil, words("tool")},
		{"a module, args", module, nil, words("a"), words("tool", "a")},
		{"a module, command", module, words("c"), words("a"), words("c", "a")},
		{"a module with an entrypoint", with(module, words("e"), words("d")), nil, nil, words("e", "d")},
		{"a module with an entrypoint, args", with(module, words("e"), words("d")), nil, words("a"), words("e", "a")},
		{"a module with a cmd", with(module, nil, words("d")), nil, nil, words("d")},
		{"a module with a cmd, args", with(module, nil, words("d")), nil, words("a"), words("tool", "a")},
		{"entrypoint and cmd", with(rooted, words("e"), words("d")), nil, nil, words("e", "d")},
		{"entrypoint and cmd, command", with(rooted, words("e"), words("d")), words("c"), nil, words("c")},
		{"entrypoint and cmd, args", with(rooted, words("e"), words("d")), nil, words("a"), words("e", "a")},
		{"cmd", with(rooted, nil, words("d")), nil, nil, words("d")},
		{"cmd, args", with(rooted, nil, words("d")), nil, words("a"), words("a")},
		{"nothing", with(rooted, nil, nil), nil, nil, words("app.wasm")},
	} {
		if got := tt.m.Argv(tt.command, tt.args); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestModuleName(t *testing.T) {
	for image, want := range map[string]string{
		"hello": "hello", "hello:v1": "hello", "127.0.0.1:5000/hello": "hello", "a/b/hello@sha256:0": "hello", "fs//opt/tool.wasm": "tool.wasm",
	} {
		if got := (Module{Image: image}).Argv(nil, nil); got[0] != want {
			t.Errorf("the module of %s is called %q, want %q", image, got, want)
		}
	}
}

func TestEnviron(t *testing.T) {
	own := []string{"B=2", "C="}
	if got := (Module{}).Environ(own); !slices.Equal(got, own) {
		t.Errorf("without a config: %q", got)
	}
	m := Module{Config: &manifest.Config{Env: []string{"A=1", "B=1", "C=1", "CC=1"}}}
	if got, want := m.Environ(own), []string{"A=1", "CC=1", "B=2", "C="}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
