// Command wrap makes components of WASI 0.2 out of commands of preview 1:
//
//	go run ./hack/wrap hello.wasm hello-component.wasm
//	go run ./hack/wrap wasi-testsuite/tests/rust/testsuite/wasm32-wasip1 /tmp/wrapped
//
// A folder is copied with all its files, and each module in it is wrapped. With -jco, the npm
// package @bytecodealliance/jco wraps, as people do it who publish components: `-jco 'npx jco'`.
// Without it, package hack/guests/wrap does, which needs nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/hack/guests/wrap"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wrap", flag.ContinueOnError)
	flags.SetOutput(stderr)
	jco := flags.String("jco", "", "the command of npm's jco, such as 'npx jco': it wraps, not this project's adapter")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() != 2 {
		_, _ = fmt.Fprintln(stderr, "wrap: give a module or a folder of modules, and the place for the components")
		return 2
	}
	wrapped, err := wrapper(strings.Fields(*jco)).tree(context.Background(), flags.Arg(0), flags.Arg(1))
	if err == nil && wrapped == 0 {
		err = errors.New("there is no .wasm file")
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "wrap: %v\n", err)
		return 1
	}
	_, _ = fmt.Fprintf(stdout, "%d wrapped\n", wrapped)
	return 0
}

// wrapper is jco's command, or nothing.
type wrapper []string

// tree wraps one module, or all of a folder, and returns how many.
func (w wrapper) tree(ctx context.Context, from, to string) (wrapped int, err error) {
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, below)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o755)
		case filepath.Ext(path) == ".wasm":
			wrapped++
			return w.module(ctx, path, target)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
	return wrapped, err
}

func (w wrapper) module(ctx context.Context, from, to string) error {
	if len(w) > 0 {
		cmd := exec.CommandContext(ctx, w[0], append(w[1:len(w):len(w)], "new", from, "--wasi-command", "-o", to)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("wrapping %s with %s: %w: %s", from, w[0], err, out)
		}
		return nil
	}
	module, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	adapter, err := componentengine.Binary(wrap.Adapter)
	if err != nil {
		return fmt.Errorf("assembling the adapter: %w", err)
	}
	component, err := wrap.Command(adapter, module)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return os.WriteFile(to, component, 0o644)
}
