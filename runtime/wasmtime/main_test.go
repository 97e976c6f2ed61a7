package wasmtime

import (
	"fmt"
	"os"
	"testing"
)

// TestMain lets the test binary act as the compiler of its engines, like the agent's binary, and as
// a process that hosts guests.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == CompileCommand {
		os.Exit(CompileMain(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == hostCommand {
		if err := hostGuest(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// self is the command of the tests' compiler.
func self() []string { return []string{"/proc/self/exe", CompileCommand} }
