package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// mutants changes bytes of each component of the tests that is valid, some times, and compares what
// is said of it here and by wasm-tools. Where the two differ the mutant is kept.
type mutants struct {
	tools string
	keep  string
	each  int
	rand  *rand.Rand
	out   io.Writer
}

func (m *mutants) run(ctx context.Context, dir string, c command, total counts) error {
	data, err := os.ReadFile(filepath.Join(dir, c.Filename))
	if err != nil {
		return err
	}
	component, err := binary.Decode(data)
	if err != nil {
		return nil // the test failed already
	}
	places := outsideModules(component, len(data))
	if len(places) == 0 {
		return nil
	}
	for range m.each {
		mutant := m.mutate(data, places)
		path := filepath.Join(dir, "mutant.wasm")
		if err := os.WriteFile(path, mutant, 0o600); err != nil {
			return err
		}
		said, err := exec.CommandContext(ctx, m.tools, "validate", "--features", "all", path).CombinedOutput()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		theirs := err == nil
		ours := check(path)
		total.add("mutant", m.compare(mutant, ours, theirs, string(said)))
	}
	return nil
}

func (m *mutants) compare(mutant []byte, ours error, theirs bool, said string) (result string) {
	switch {
	case theirs == (ours == nil):
		if theirs {
			return "valid for both"
		}
		return "invalid for both"
	case errors.Is(ours, binary.ErrUnsupported):
		return unsupported
	}
	f, err := os.CreateTemp(m.keep, "mutant-*.wasm")
	if err == nil {
		_, err = f.Write(mutant)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		_, _ = fmt.Fprintln(m.out, err)
		return failed
	}
	line, _, _ := strings.Cut(said, "\n")
	_, _ = fmt.Fprintf(m.out, "%s: here: %v, wasm-tools: %s\n", f.Name(), ours, line)
	if ours == nil {
		return "taken here only"
	}
	return "refused here only"
}

func (m *mutants) mutate(data []byte, places []int) []byte {
	mutant := slices.Clone(data)
	for range 1 + m.rand.IntN(2) {
		at := places[m.rand.IntN(len(places))]
		switch m.rand.IntN(4) {
		case 0:
			mutant[at]++
		case 1:
			mutant[at]--
		case 2:
			mutant[at] = byte(m.rand.IntN(16))
		default:
			mutant[at] = data[places[m.rand.IntN(len(places))]]
		}
	}
	return mutant
}

// outsideModules returns the offsets of bytes that are in no core module.
func outsideModules(c *binary.Component, size int) (places []int) {
	inside := make([]bool, size)
	var walk func(c *binary.Component)
	walk = func(c *binary.Component) {
		for _, d := range c.Definitions {
			switch d := d.(type) {
			case *binary.CoreModule:
				for i := range d.Bytes {
					inside[d.At+i] = true
				}
			case *binary.Component:
				walk(d)
			}
		}
	}
	walk(c)
	for i := 8; i < size; i++ {
		if !inside[i] {
			places = append(places, i)
		}
	}
	return places
}
