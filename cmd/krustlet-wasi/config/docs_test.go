package config

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

const configurationPage = "../../../docs/configuration.md"

func readPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(configurationPage)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestConfigurationPage: the page's tables have one row for each setting, and no other rows.
func TestConfigurationPage(t *testing.T) {
	page := readPage(t)
	rows := map[string]bool{}
	for line := range strings.Lines(page) {
		// A bar inside a cell is escaped.
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "/"), "|")
		if len(cells) == 7 && strings.Contains(cells[2], "`") {
			flag := regexp.MustCompile("--[a-z-]+").FindString(cells[1])
			letter := regexp.MustCompile("`-([a-z])`").FindStringSubmatch(cells[1])
			short := ""
			if letter != nil {
				short = letter[1]
			}
			rows[strings.Join([]string{strings.TrimPrefix(flag, "--"), short, code(cells[2]), code(cells[3])}, " ")] = false
		}
	}
	for _, s := range settings() {
		row := strings.Join([]string{s.flag, s.short, s.env, s.key}, " ")
		if _, ok := rows[row]; !ok {
			t.Errorf("%s has no row for %q (flag, letter, variable, key)", configurationPage, row)
		}
		rows[row] = true
	}
	for row, known := range rows {
		if !known {
			t.Errorf("%s has a row for %q, which is no setting", configurationPage, row)
		}
	}
}

func code(cell string) string { return strings.Trim(strings.TrimSpace(cell), "`") }

// TestConfigurationPageExample: the program accepts the file that the page shows.
func TestConfigurationPageExample(t *testing.T) {
	page := readPage(t)
	_, rest, ok := strings.Cut(page, "```json\n")
	example, _, closed := strings.Cut(rest, "```")
	if !ok || !closed || !json.Valid([]byte(example)) {
		t.Fatalf("no JSON example in %s", configurationPage)
	}
	s := newScene(t)
	s.file = example
	if c := s.mustLoad(t); c.NodeName != "wasm-1" || c.Port != 3001 || len(c.RegisterWithTaints) != 1 {
		t.Errorf("the example gives %+v", c)
	}
}

// TestConfigurationPageLabels: every label that a node may set is on the page.
func TestConfigurationPageLabels(t *testing.T) {
	page := readPage(t)
	for _, label := range nodeLabels {
		domain, name, _ := strings.Cut(label, "/")
		if !strings.Contains(page, "`"+label+"`") && !(strings.Contains(page, "`"+domain+"/") && strings.Contains(page, "`/"+name+"`")) {
			t.Errorf("%s does not name the label %s", configurationPage, label)
		}
	}
}
