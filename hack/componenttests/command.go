package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
)

// Results of a command.
const (
	passed      = "passed"
	failed      = "failed"
	unsupported = "refused" // the component does not run here, and is refused by name
	notRun      = "not run" // the command needs instances, or this tool does not know it
)

// run runs a command. What it needs is in the folder. why is "" if there is nothing to tell.
func (c command) run(ctx context.Context, tools, dir string) (result, why string) {
	path := filepath.Join(dir, c.Filename)
	switch c.Type {
	case "module", "module_definition":
		return mustBeValid(path)
	case "assert_invalid", "assert_malformed":
		if c.ModuleType != "binary" {
			return passed, "" // text, which wasm-tools itself refused to assemble
		}
		return c.mustBeRefused(ctx, tools, path)
	}
	return notRun, ""
}

func mustBeValid(path string) (result, why string) {
	err := check(path)
	switch {
	case err == nil:
		return passed, ""
	case errors.Is(err, binary.ErrUnsupported):
		return unsupported, err.Error()
	}
	return failed, err.Error()
}

func (c command) mustBeRefused(ctx context.Context, tools, path string) (result, why string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return failed, err.Error()
	}
	if check(path) != nil {
		return passed, ""
	}
	component, err := binary.Decode(data)
	if err != nil {
		return failed, err.Error()
	}
	if codeIsInvalid(ctx, tools, component) {
		return passed, ""
	}
	return failed, fmt.Sprintf("it was taken, and wasm-tools says %q", c.Text)
}

// check decodes and validates a component.
func check(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	component, err := binary.Decode(data)
	if err != nil {
		return err
	}
	return validate.Validate(component)
}

// codeIsInvalid reports whether a core module of a component is refused for its code. The engine's
// compiler would do that; here wasm-tools does.
func codeIsInvalid(ctx context.Context, tools string, c *binary.Component) bool {
	for _, d := range c.Definitions {
		switch d := d.(type) {
		case *binary.CoreModule:
			look := exec.CommandContext(ctx, tools, "validate", "--features", "all", "-")
			look.Stdin = bytes.NewReader(d.Bytes)
			var exit *exec.ExitError
			if errors.As(look.Run(), &exit) {
				return true
			}
		case *binary.Component:
			if codeIsInvalid(ctx, tools, d) {
				return true
			}
		}
	}
	return false
}
