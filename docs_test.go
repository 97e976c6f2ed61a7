package krustletwasi

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docsIndex lists every page of docs.
const docsIndex = "docs/README.md"

// pages are the project's pages, by path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[file] = string(text)
		}
	}
	for _, must := range []string{"README.md", docsIndex} {
		if all[must] == "" {
			t.Fatalf("%s is missing or empty", must)
		}
	}
	return all
}

// link matches the target of a Markdown link.
var link = regexp.MustCompile(`\]\(([^()\s]+)\)`)

// links are the targets of a page's links within the project.
func links(page string) []string {
	var targets []string
	for _, match := range link.FindAllStringSubmatch(prose(page), -1) {
		if target := match[1]; !strings.Contains(target, "://") && !strings.HasPrefix(target, "mailto:") {
			targets = append(targets, target)
		}
	}
	return targets
}

// prose is a page without its code blocks.
func prose(page string) string {
	var kept strings.Builder
	inCode := false
	for line := range strings.Lines(page) {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			inCode = !inCode
		case !inCode:
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// notInAnchor matches the characters of a heading that its anchor does not have.
var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors are the names by which links reach a page's headings.
func anchors(page string) []string {
	var names []string
	for line := range strings.Lines(prose(page)) {
		heading := strings.TrimLeft(line, "#")
		if heading == line || !strings.HasPrefix(heading, " ") {
			continue
		}
		name := notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

// TestLinks: every link within the project leads to an existing file. In a page it leads to an
// existing heading.
func TestLinks(t *testing.T) {
	all := pages(t)
	checked := 0
	for file, page := range all {
		for _, target := range links(page) {
			checked++
			path, anchor, _ := strings.Cut(target, "#")
			to := file
			if path != "" {
				to = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which is not there", file, target)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(all[to]), anchor) {
				t.Errorf("%s links to %s, and %s has no such heading", file, target, to)
			}
		}
	}
	if checked < len(all) {
		t.Errorf("%d links in %d pages: this test looks at the wrong things", checked, len(all))
	}
}

// TestIndex: the index of docs names every page, and the README links to the index.
func TestIndex(t *testing.T) {
	all := pages(t)
	if !slices.Contains(links(all["README.md"]), docsIndex) {
		t.Errorf("README.md does not link to %s", docsIndex)
	}
	index := links(all[docsIndex])
	for file := range all {
		name, inDocs := strings.CutPrefix(file, "docs/")
		if inDocs && file != docsIndex && !slices.Contains(index, name) {
			t.Errorf("%s does not link to %s", docsIndex, name)
		}
	}
}

// private matches text that makes sense only on an author's machine or network. Pages must make
// sense without it.
var private = regexp.MustCompile(`(?i)\.\./shared|(^|[^\w.])/(work|root|home/\w+)\b|proxy\.golang|goproxy|(docker|ghcr|quay)\.io`)

func TestPagesStandAlone(t *testing.T) {
	for file, page := range pages(t) {
		for number, line := range slices.Collect(strings.Lines(page)) {
			if found := private.FindString(line); found != "" {
				t.Errorf("%s:%d names %q", file, number+1, strings.TrimSpace(found))
			}
		}
	}
}
