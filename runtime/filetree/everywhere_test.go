package filetree

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNothingElseRemovesTrees: the product removes trees only with this package, because
// os.RemoveAll and similar functions hold a descriptor for each level.
func TestNothingElseRemovesTrees(t *testing.T) {
	others := regexp.MustCompile(`\bos\.RemoveAll\(|\.RemoveAll\(`)
	seen := 0
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (e.Name() == "hack" || e.Name() == "test" || e.Name() == "bin" || e.Name() == ".git"):
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if code, _, _ := strings.Cut(line, "//"); others.MatchString(code) {
				t.Errorf("%s: %s", path, strings.TrimSpace(line))
			}
		}
		seen++
		return err
	})
	if err != nil || seen < 100 {
		t.Errorf("%d files were looked at, %v", seen, err)
	}
}
