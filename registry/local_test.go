package registry

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// docs/security.md: "`--x-allow-local-modules` lets each user who may create pods run any module
// that the agent can read."
func TestLocalModule(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	path := filepath.Join(dir, "hello.wasm")
	module := wasm("local", 10)
	if err := os.WriteFile(path, module, 0o644); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, Config{AllowLocalModules: true})
	for _, image := range []string{"fs/" + path, "fs/hello.wasm", "fs/./hello.wasm:v1", "fs/" + path + "@" + digestOf(module)} {
		m, err := s.pulled(t.Context(), image)
		if err != nil {
			t.Fatal(err)
		}
		checkModule(t, m, module)
		if m.Image != image {
			t.Errorf("image %q, asked for %q", m.Image, image)
		}
		found, present, err := s.found(image)
		if !present || err != nil || found != m {
			t.Errorf("Lookup(%s): %+v, %v, %v", image, found, present, err)
		}
	}
	if m, _ := s.pulled(t.Context(), "fs/"+path); m.ImageID != "fs/"+path+"@"+digestOf(module) {
		t.Errorf("image ID %s", m.ImageID)
	}

	// A new build is noticed. A container that ran before keeps its file.
	before, _ := s.pulled(t.Context(), "fs/hello.wasm")
	newer := wasm("rebuilt", 20)
	if err := os.WriteFile(path, newer, 0o644); err != nil {
		t.Fatal(err)
	}
	m, present, err := s.found("fs/hello.wasm")
	if !present || err != nil {
		t.Fatal(present, err)
	}
	checkModule(t, m, newer)
	checkModule(t, before, module)
	_, err = s.pulled(t.Context(), "fs/hello.wasm@"+digestOf(module))
	errorcheck.Is(t, err, fault.ErrDigestMismatch, digestOf(newer))
}

func TestLocalModuleRefused(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{"elf": []byte("\x7fELF...."), "empty": nil, "large": wasm("x", 2000), "good": wasm("x", 1)}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, Config{AllowLocalModules: true, MaxModuleSize: 1000})
	for _, tt := range []struct {
		file  string
		class error
		says  string
	}{
		{"elf", fault.ErrNotWasm, "ELF"},
		{"empty", fault.ErrNotWasm, "no WebAssembly"},
		{"large", fault.ErrTooLarge, "1000"},
		{"pipe", fault.ErrNotWasm, "no regular file"},
		{".", fault.ErrNotWasm, "no regular file"},
	} {
		image := "fs/" + filepath.Join(dir, tt.file)
		_, err := s.pulled(t.Context(), image)
		errorcheck.Is(t, err, tt.class, tt.says, filepath.Join(dir, tt.file))
		_, present, err := s.found(image)
		if present {
			t.Errorf("%s is present", image)
		}
		errorcheck.Is(t, err, tt.class, tt.says)
	}
	checkAbsent(t, s, "fs/"+filepath.Join(dir, "none"))
	_, err := s.pulled(t.Context(), "fs/none.wasm")
	errorcheck.Is(t, err, fault.ErrNotFound, "none.wasm", "fs//PATH")

	strict := newStore(t, Config{})
	_, err = strict.pulled(t.Context(), "fs/"+filepath.Join(dir, "good"))
	errorcheck.Is(t, err, fault.ErrLocalModules, "--x-allow-local-modules")
	_, _, err = strict.found("fs/" + filepath.Join(dir, "good"))
	errorcheck.Is(t, err, fault.ErrLocalModules)
}
