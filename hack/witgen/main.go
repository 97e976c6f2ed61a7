package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/krustlet-go/krustlet-wasi/hack/witgen/golang"
	"github.com/krustlet-go/krustlet-wasi/hack/witgen/wit"
)

// features are the gated items of WASI that real components use.
var features = []string{"clocks-timezone", "informational-outbound-responses", "network-error-code"}

// binding is a package of Go that is written.
type binding struct {
	from string // folder of WIT
	own  bool   // from is a folder of ours
	to   string // folder of Go
	golang.Options
}

// wasi are the bindings of WASI. from is a folder in jco's package, or in own.
var wasi = []binding{
	{from: "0.2.12", to: "runtime/wasi/p2/bindings", Options: golang.Options{Package: "bindings", Of: "WASI 0.2", Method: "WASIP2"}},
	{from: "0.3.0", to: "runtime/wasi/p3/bindings", Options: golang.Options{Package: "bindings", Of: "WASI 0.3", Method: "WASIP3"}},
	{from: "extra", own: true, to: "runtime/wasi/extra/bindings", Options: golang.Options{
		Package: "bindings", Of: "WASI's proposals", Method: "WASIExtra",
		// The proposals changed their versions, and not their functions. Toolchains use all of these.
		Also: map[string][]string{"wasi:config": {"0.2.0-draft"}, "wasi:logging": {""}},
	}},
}

// own has the WIT that jco's package lacks.
//
//go:embed extra
var own embed.FS

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("witgen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.Bool("check", false, "compare, and write nothing")
	npm := flags.String("npm", "", "folder with the unpacked package of jco")
	one := binding{}
	flags.StringVar(&one.from, "wit", "", "folder with WIT, for one package")
	flags.StringVar(&one.to, "to", "", "folder of the package that is written for -wit")
	flags.StringVar(&one.Package, "name", "", "name of that package")
	flags.StringVar(&one.Of, "of", "", "what its comments call the WIT")
	flags.StringVar(&one.Method, "method", "", "name of the method that returns its Host")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || one.from != "" && (one.to == "" || one.Package == "" || one.Of == "" || one.Method == "") {
		_, _ = fmt.Fprintln(stderr, "-wit needs -to, -name, -of and -method, and there are no arguments")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := generate(ctx, one, *npm, *check, stdout); err != nil {
		_, _ = fmt.Fprintf(stderr, "witgen: %v\n", err)
		return 1
	}
	return 0
}

func generate(ctx context.Context, one binding, npm string, check bool, stdout io.Writer) error {
	if one.from != "" {
		return one.generate(check, stdout)
	}
	if npm == "" {
		folder, err := os.MkdirTemp("", "witgen-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(folder) }()
		if err := fetch(ctx, folder); err != nil {
			return fmt.Errorf("fetching %s: %w", npmPackage, err)
		}
		npm = folder
	}
	for _, b := range wasi {
		if !b.own {
			b.from = filepath.Join(npm, witFolder, b.from)
		}
		if err := b.generate(check, stdout); err != nil {
			return err
		}
	}
	return nil
}

// generate writes the package, or compares it.
func (b binding) generate(check bool, stdout io.Writer) error {
	tree := os.DirFS(b.from)
	if b.own {
		var err error
		if tree, err = fs.Sub(own, b.from); err != nil {
			return err
		}
	}
	packages, err := wit.Load(tree, wit.Options{Features: features})
	if err != nil {
		return err
	}
	files, err := golang.Generate(packages, b.Options)
	if err != nil {
		return fmt.Errorf("writing Go for %s: %w", b.Of, err)
	}
	old, err := generated(b.to)
	if err != nil {
		return err
	}
	if check {
		return compare(b.to, old, files)
	}
	if err := b.write(old, files); err != nil {
		return err
	}
	lines := 0
	for _, text := range files {
		lines += bytes.Count(text, []byte("\n"))
	}
	_, err = fmt.Fprintf(stdout, "%s: %d files, %d lines\n", b.to, len(files), lines)
	return err
}

// write writes files, and removes old ones that are generated no more.
func (b binding) write(old, files map[string][]byte) error {
	if err := os.MkdirAll(b.to, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(b.to, name)
		if _, err := os.Stat(path); err == nil && old[name] == nil {
			return fmt.Errorf("%s was not generated, and would be lost", path)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	for name := range old {
		if files[name] == nil {
			if err := os.Remove(filepath.Join(b.to, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// generated returns the files that were generated in a folder, which may not be there.
func generated(folder string) (map[string][]byte, error) {
	files := map[string][]byte{}
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		if bytes.HasPrefix(text, []byte("// Code generated by hack/witgen ")) {
			files[e.Name()] = text
		}
	}
	return files, nil
}

// compare returns an error that names the files that differ.
func compare(folder string, old, files map[string][]byte) error {
	var differ []string
	for name, text := range files {
		if !bytes.Equal(old[name], text) {
			differ = append(differ, name)
		}
	}
	for name := range old {
		if files[name] == nil {
			differ = append(differ, name)
		}
	}
	if len(differ) == 0 {
		return nil
	}
	slices.Sort(differ)
	return fmt.Errorf("%s is not up to date: %q; run: go run ./hack/witgen", folder, differ)
}
