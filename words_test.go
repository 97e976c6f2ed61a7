package krustletwasi

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var (
	// vague matches words that do not name an actor, or that many readers must look up.
	vague = regexp.MustCompile(`(?i)\b(nobody|whoever|anybody|somebody|anew|for good)\b`)
	// goComment matches a comment on its own line. It does not match tables, directives and quotes
	// of pages.
	goComment = regexp.MustCompile(`^\t*// [^ ]`)
	quoted    = regexp.MustCompile(`^\t*// (docs/\S+\.md:|nolint)`)
)

const widest = 100 // columns of a comment

// TestWords checks comments and pages for the words and widths that CONTRIBUTING asks for.
func TestWords(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() && (e.Name() == "bin" || e.Name() == ".git" || e.Name() == "testdata") {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		code, page := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".pb.go"), strings.HasSuffix(path, ".md")
		if e.IsDir() || !code && !page {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			line = strings.TrimRight(line, "\n")
			if code && (!goComment.MatchString(line) || quoted.MatchString(line)) {
				continue
			}
			if word := vague.FindString(line); word != "" && path != "CONTRIBUTING.md" && path != "words_test.go" {
				t.Errorf("%s:%d says %q: name who acts, in plain words", path, n, word)
			}
			if width := utf8.RuneCountInString(line); code && width > widest {
				t.Errorf("%s:%d has %d columns, and a comment has %d at most", path, n, width, widest)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
