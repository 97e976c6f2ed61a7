// Wasitests runs programs of wasi-testsuite for WASI 0.3 against this project's host, over a slow
// engine. It needs a checkout of the branch with the programs:
//
//	git clone -b prod/testsuite-base https://github.com/WebAssembly/wasi-testsuite /tmp/wasi-testsuite
//	go run ./hack/wasitests -tests /tmp/wasi-testsuite/tests/rust/testsuite/wasm32-wasip3
//
// It prints a line for each program, and what was counted. Names of programs as arguments choose
// some; without any it runs all but those of sockets and HTTP.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wasitests", flag.ContinueOnError)
	flags.SetOutput(stderr)
	tests := flags.String("tests", "", "`folder` of the programs, with their JSON")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	names, err := programs(*tests, flags.Args())
	if err != nil || len(names) == 0 {
		_, _ = fmt.Fprintln(stderr, "wasitests: finding programs:", err)
		return 2
	}
	failed := 0
	for _, name := range names {
		why := try(ctx, *tests, name)
		if why != nil {
			failed++
		}
		_, _ = fmt.Fprintf(stdout, "%-28s %s\n", name, outcome(why))
	}
	_, _ = fmt.Fprintf(stdout, "%d of %d passed\n", len(names)-failed, len(names))
	return min(failed, 1)
}

func outcome(err error) string {
	if err != nil {
		return "FAILED: " + err.Error()
	}
	return "passed"
}

func programs(dir string, chosen []string) (names []string, err error) {
	if len(chosen) > 0 {
		return chosen, nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".wasm")
		if !strings.HasPrefix(name, "sockets-") && !strings.HasPrefix(name, "http-") {
			names = append(names, name)
		}
	}
	return names, err
}

// operation is a step of a test. What stands beside the operations of a test is its run and its
// wait.
type operation struct {
	Type     string            `json:"type"`
	Args     []string          `json:"args"`
	Env      map[string]string `json:"env"`
	Root     string            `json:"root"`
	ID       string            `json:"id"`
	Payload  string            `json:"payload"`
	ExitCode uint32            `json:"exit_code"`
}

func steps(file string) ([]operation, error) {
	var spec struct {
		operation
		Operations []operation `json:"operations"`
	}
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &spec)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if len(spec.Operations) > 0 {
		return spec.Operations, err
	}
	begin, end := spec.operation, spec.operation
	begin.Type, end.Type = "run", "wait"
	return []operation{begin, end}, err
}

// limit is how long a program may take. They take less than a second, with compiling 20.
const limit = 2 * time.Minute

var errStuck = fmt.Errorf("it takes more than %s", limit)

func try(ctx context.Context, dir, name string) error {
	all, err := steps(filepath.Join(dir, name+".json"))
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeoutCause(ctx, limit, errStuck)
	defer stop()
	var p *program
	for _, step := range all {
		switch step.Type {
		case "run":
			if p, err = start(ctx, filepath.Join(dir, name+".wasm"), step); err == nil {
				defer p.close()
			}
		case "write":
			_, err = io.WriteString(p.stdin, step.Payload)
		case "read":
			err = p.expect(step)
		case "wait":
			err = p.wait(step.ExitCode)
		default:
			err = fmt.Errorf("unknown operation %q", step.Type)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step.Type, err)
		}
	}
	return nil
}
