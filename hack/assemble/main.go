// Command assemble makes a component of text in WAT: go run ./hack/assemble FROM TO. Functions may
// be async. It is a process of its own because test programs that link another library of the
// engine cannot link the assembler too.
package main

import (
	"fmt"
	"os"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "assemble: give a text and the path of the component")
		os.Exit(2)
	}
	if err := assemble(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "assemble: %v\n", err)
		os.Exit(1)
	}
}

func assemble(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	component, err := componentengine.Binary(string(text))
	if err != nil {
		return fmt.Errorf("assembling %s: %w", from, err)
	}
	return os.WriteFile(to, component, 0o644)
}
