package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const extension = ".wast"

// scripts returns the test files of a folder, without extension, or those of them that are wanted.
func scripts(root string, wanted []string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != extension {
			return err
		}
		name, err := filepath.Rel(root, strings.TrimSuffix(path, extension))
		if err == nil && (len(wanted) == 0 || slices.Contains(wanted, name)) {
			found = append(found, name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for tests: %w", err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("looking for tests: there are none in %s", root)
	}
	return found, nil
}

// script is what wasm-tools makes of a test file.
type script struct {
	Commands []command `json:"commands"`
}

// command is a line of a test.
type command struct {
	Type       string `json:"type"`
	Line       int    `json:"line"`
	Filename   string `json:"filename"`
	ModuleType string `json:"module_type"` // "binary" or "text"
	Text       string `json:"text"`        // a part of the error that wasm-tools has

	Name     string  `json:"name"`     // of a component that is defined
	Module   string  `json:"module"`   // of a component that is instantiated
	Instance string  `json:"instance"` // of the instance
	Action   *action `json:"action"`
	Expected []value `json:"expected"`
}

// runScript runs the commands of a test file and reports those that fail.
func runScript(ctx context.Context, tools, root, name string, total counts, m *mutants) error {
	dir, err := os.MkdirTemp("", "componenttests")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	list := filepath.Join(dir, "test.json")
	convert := exec.CommandContext(ctx, tools, "json-from-wast", filepath.Join(root, name+extension), "--output", list, "--wasm-dir", dir)
	if said, err := convert.CombinedOutput(); err != nil {
		return fmt.Errorf("assembling by wasm-tools: %w: %s", err, strings.TrimSpace(string(said)))
	}
	data, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	var s script
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("reading what wasm-tools wrote: %w", err)
	}
	w := newWorld(dir)
	defer w.close()
	for _, c := range s.Commands {
		result, why := c.run(ctx, tools, dir)
		valid := result == passed
		switch {
		case result == notRun || valid && !strings.HasPrefix(c.Type, "assert_"):
			result, why = w.step(c)
		case result == unsupported:
			_, missing := w.step(c) // for what of the test does not need that
			w.refused = missing != ""
		}
		total.add(c.Type, result)
		if why != "" {
			_, _ = fmt.Fprintf(m.out, "%s%s:%d: %s: %s: %s\n", name, extension, c.Line, c.Type, result, why)
		}
		if valid && strings.HasPrefix(c.Type, "module") {
			if err := m.run(ctx, dir, c, total); err != nil {
				return err
			}
		}
	}
	return nil
}
