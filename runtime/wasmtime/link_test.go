//go:build engine

package wasmtime

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOneLibraryIsLinked: the linker takes everything that it needs from the library of `make
// engine`, and nothing from wasmtime-go's, which comes after it on the command line. Otherwise two
// versions of one engine might share symbols by chance.
func TestOneLibraryIsLinked(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "map")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "engine", "-o", filepath.Join(dir, "program"),
		"-ldflags", "-linkmode external -extldflags -Wl,-Map="+list, "./testdata/linked")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^(\S*libwasmtime\.a)\(`).FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(m[1], "wasmtime-go") {
			members["wasmtime-go's"]++
		} else {
			members["hack/engine's"]++
		}
	}
	if members["wasmtime-go's"] > 0 || members["hack/engine's"] == 0 {
		t.Errorf("members of the libraries that are linked: %v", members)
	}
	// The list has the members that were linked, and the symbol that needed each. It has no member
	// of a library from which nothing was linked.
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "program")).Output()
	if err != nil || strings.TrimSpace(string(out)) != Version {
		t.Errorf("the program says %q, %v; this one %q", out, err, Version)
	}
}
