package wasmtime

import "fmt"

// maxParts bounds the core modules of a component. Python's components, which link some libraries
// at run time, have about 40. Each is compiled by a process of its own, and costs an open file.
const maxParts = 256

// checkParts returns an error for modules that are too many, or larger together than one may be.
func checkParts(modules [][]byte, most int64) error {
	if len(modules) > maxParts {
		return fmt.Errorf("the component has %d core modules, and may have %d", len(modules), maxParts)
	}
	var all int64
	for _, wasm := range modules {
		all += int64(len(wasm))
	}
	if all > most {
		return fmt.Errorf("%w: the component's core modules have %d bytes, and may have %d (--max-module-size)", ErrModuleTooLarge, all, most)
	}
	return nil
}
