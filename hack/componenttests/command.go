package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
)

// Results of a command.
const (
	passed      = "passed"
	failed      = "failed"
	unsupported = "refused" // the component does not run here, and is refused by name
	notRun      = "not run" // the command is one that this tool does not know yet
)

// run runs a command. What it needs is in the folder. why is "" if there is nothing to tell.
func (c command) run(dir string) (result, why string) {
	switch c.Type {
	case "module", "module_definition":
		return c.mustBeValid(dir)
	case "assert_invalid", "assert_malformed":
		if c.ModuleType != "binary" {
			return passed, "" // text, which wasm-tools itself refused to assemble
		}
		return c.mustBeRefused(dir)
	}
	// assert_return, assert_trap, assert_uninstantiable, action and module_instance belong here.
	return notRun, ""
}

func (c command) mustBeValid(dir string) (result, why string) {
	err := c.check(dir)
	switch {
	case err == nil:
		return passed, ""
	case errors.Is(err, binary.ErrUnsupported):
		return unsupported, err.Error()
	}
	return failed, err.Error()
}

func (c command) mustBeRefused(dir string) (result, why string) {
	if err := c.check(dir); err == nil {
		return failed, fmt.Sprintf("it was taken, and wasm-tools says %q", c.Text)
	} else if os.Getenv("V") != "" {
		return passed, fmt.Sprintf("%v | %s", err, c.Text)
	}
	return passed, ""
}

// check decodes and validates a component, and the code of its modules.
func (c command) check(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, c.Filename))
	if err != nil {
		return err
	}
	component, err := binary.Decode(data)
	if err != nil {
		return err
	}
	if err := validate.Validate(component); err != nil {
		return err
	}
	return modules(component)
}

// modules validates the code of a component's modules, as the engine does.
func modules(c *binary.Component) error {
	for _, d := range c.Definitions {
		var err error
		switch d := d.(type) {
		case *binary.CoreModule:
			err = wasmtime.ModuleValidate(engine(), d.Bytes)
		case *binary.Component:
			err = modules(d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
