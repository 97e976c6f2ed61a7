// Command conformance runs the programs of a WASI test suite with `krustlet-wasi run` and prints a
// table of the results. A suite is a folder of .wasm files. Each may have a .json file with the
// same name, which says how to run the program and what it must do. This is the form of
// github.com/WebAssembly/wasi-testsuite, whose branch prod/testsuite-base has built programs. See
// docs/conformance.md.
//
// Modules of preview 1 and components run alike. HTTP services are asked what their
// .json file says. Programs of sockets are connected to, and the servers that a program sends
// requests to are there.
//
// A program runs on a copy of the folder that it may write to, so that a run does not change the
// suite.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	command := flags.String("command", "bin/krustlet-wasi run", "what runs one module or component; the words are split at spaces")
	limit := flags.Duration("limit", time.Minute, "how long one program may take")
	markdown := flags.Bool("markdown", false, "print the table for docs/conformance.md")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() == 0 {
		_, _ = fmt.Fprintln(stderr, "conformance: no folder of programs is named: give the path of a built suite, such as wasi-testsuite/tests/c/testsuite/wasm32-wasip1")
		return 2
	}
	runner := runner{command: strings.Fields(*command), limit: *limit}
	var results []result
	for _, dir := range flags.Args() {
		some, err := runner.suite(context.Background(), dir)
		if err != nil {
			_, _ = fmt.Fprintf(stderr, "conformance: %v\n", err)
			return 2
		}
		results = append(results, some...)
	}
	failed := print(stdout, results, *markdown)
	if failed > 0 {
		return 1
	}
	return 0
}

// result is the result of one program.
type result struct {
	suite, name string
	err         error // nil if it passed; a leftOut if it was not run
	took        time.Duration
}

// suite runs all programs below a folder, in the order of their names.
func (r runner) suite(ctx context.Context, dir string) ([]result, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".wasm" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the programs of %s: %w", dir, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no .wasm file: it must be a suite whose programs are built", dir)
	}
	var results []result
	for _, file := range files {
		began := time.Now()
		err := r.program(ctx, file)
		results = append(results, result{suite: suiteName(file), name: strings.TrimSuffix(filepath.Base(file), ".wasm"), err: err, took: time.Since(began)})
	}
	return results, nil
}

// suiteName is the name in the suite's manifest, or the folder's.
func suiteName(file string) string {
	var manifest struct {
		Name string `json:"name"`
	}
	dir := filepath.Dir(file)
	if err := readJSON(filepath.Join(dir, "manifest.json"), &manifest); err != nil || manifest.Name == "" {
		return filepath.Base(dir)
	}
	return manifest.Name
}

// print writes the table and returns how many programs failed.
func print(w io.Writer, results []result, markdown bool) (failed int) {
	left := 0
	if markdown {
		_, _ = fmt.Fprintf(w, "| suite | program | result |\n|---|---|---|\n")
	}
	for _, r := range results {
		word := "pass"
		var out leftOut
		if errors.As(r.err, &out) {
			left++
			word = "left out: " + out.Error()
		} else if r.err != nil {
			failed++
			word = "FAIL: " + strings.ReplaceAll(strings.TrimSpace(r.err.Error()), "\n", " / ")
		}
		if markdown {
			_, _ = fmt.Fprintf(w, "| %s | `%s` | %s |\n", r.suite, r.name, strings.ReplaceAll(word, "|", `\|`))
		} else {
			_, _ = fmt.Fprintf(w, "%-28s %-44s %6d ms  %s\n", r.suite, r.name, r.took.Milliseconds(), word)
		}
	}
	_, _ = fmt.Fprintf(w, "\n%d programs, %d passed, %d failed", len(results), len(results)-failed-left, failed)
	if left > 0 {
		_, _ = fmt.Fprintf(w, ", %d left out", left)
	}
	_, _ = fmt.Fprintln(w)
	return failed
}

var errUnknownOperation = errors.New("this tool knows the operations run, write, read and wait only")

// leftOut says why a program was not run.
type leftOut string

func (l leftOut) Error() string { return string(l) }
