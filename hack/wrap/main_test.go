package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const module, component = "\x00asm\x01\x00\x00\x00", "\x00asm\x0d\x00\x01\x00"

func TestWrapsAFolder(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "wrapped")
	for name, content := range map[string]string{"a.wasm": module, "a.json": "{}", "files/b.wasm": module} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{from, to}, &out, &errs); code != 0 || out.String() != "2 wrapped\n" {
		t.Fatalf("exit code %d, %q, %s", code, out.String(), errs.String())
	}
	for name, begin := range map[string]string{"a.wasm": component, "a.json": "{}", "files/b.wasm": component} {
		content, err := os.ReadFile(filepath.Join(to, name))
		if err != nil || !strings.HasPrefix(string(content), begin) {
			t.Errorf("%s: %.8q, %v", name, content, err)
		}
	}
	// The stand-in for jco gets its arguments, and writes them.
	one := filepath.Join(t.TempDir(), "one.wasm")
	if code := run([]string{"-jco", "sh " + script(t), filepath.Join(from, "a.wasm"), one}, io.Discard, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	if got, err := os.ReadFile(one); err != nil || string(got) != "new --wasi-command\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func script(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jco.sh")
	if err := os.WriteFile(path, []byte("echo $1 $3 > $5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRefuses(t *testing.T) {
	empty := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
	}{{nil, 2}, {[]string{"-x"}, 2}, {[]string{empty, t.TempDir()}, 1}, {[]string{filepath.Join(empty, "no.wasm"), "x"}, 1}} {
		if code := run(c.args, io.Discard, io.Discard); code != c.code {
			t.Errorf("%q: exit code %d, want %d", c.args, code, c.code)
		}
	}
}
