package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// flagsOf are the flags of a command, which tells of wrong ones on its standard error.
func flagsOf(c call) *flag.FlagSet {
	flags := flag.NewFlagSet(c.args[0], flag.ContinueOnError)
	flags.SetOutput(c.stderr)
	return flags
}

func ls(_ context.Context, c call) int {
	flags := flagsOf(c)
	long := flags.Bool("l", false, "")
	all := flags.Bool("a", false, "")
	longAll := flags.Bool("la", false, "")
	allLong := flags.Bool("al", false, "")
	flags.Bool("1", false, "")
	if err := flags.Parse(c.args[1:]); err != nil {
		return 2
	}
	names := flags.Args()
	if len(names) == 0 {
		names = []string{"."}
	}
	code := 0
	for _, name := range names {
		if err := list(c, name, *long || *longAll || *allLong, *all || *longAll || *allLong); err != nil {
			code = c.errorf("%v", err)
		}
	}
	return code
}

func list(c call, name string, long, all bool) error {
	info, err := os.Lstat(c.path(name))
	if err != nil {
		return err
	}
	show := func(name string, info fs.FileInfo) {
		if long {
			fmt.Fprintf(c.stdout, "%v %10d %s ", info.Mode(), info.Size(), info.ModTime().UTC().Format(time.RFC3339))
		}
		fmt.Fprintln(c.stdout, name)
	}
	if !info.IsDir() {
		show(name, info)
		return nil
	}
	entries, err := os.ReadDir(c.path(name))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name()[0] == '.' && !all {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		show(e.Name(), info)
	}
	return nil
}

// find lists what is below a folder, of the type that -type gives.
func find(_ context.Context, c call) int {
	args := c.args[1:]
	if len(args) == 0 || args[0][0] == '-' {
		args = append([]string{"."}, args...)
	}
	kind := ""
	switch {
	case len(args) == 1:
	case len(args) == 3 && args[1] == "-type":
		kind = args[2]
	default:
		return c.errorf("only -type is known here")
	}
	err := filepath.WalkDir(c.path(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if kind == "" || kind == "f" && d.Type().IsRegular() || kind == "d" && d.IsDir() {
			fmt.Fprintln(c.stdout, path)
		}
		return nil
	})
	if err != nil {
		return c.errorf("%v", err)
	}
	return 0
}

func readlink(_ context.Context, c call) int {
	for _, name := range c.args[1:] {
		target, err := os.Readlink(c.path(name))
		if err != nil {
			return 1
		}
		fmt.Fprintln(c.stdout, target)
	}
	return 0
}

func ln(_ context.Context, c call) int {
	flags := flagsOf(c)
	symbolic := flags.Bool("s", false, "")
	if err := flags.Parse(c.args[1:]); err != nil {
		return 2
	}
	if flags.NArg() != 2 {
		return c.errorf("a target and a name are needed")
	}
	var err error
	if *symbolic {
		err = os.Symlink(flags.Arg(0), c.path(flags.Arg(1)))
	} else {
		err = os.Link(c.path(flags.Arg(0)), c.path(flags.Arg(1)))
	}
	if err != nil {
		return c.errorf("%v", err)
	}
	return 0
}

// tail prints what follows the first lines of files; -f goes on for ever.
func tail(ctx context.Context, c call) int {
	flags := flagsOf(c)
	follow := flags.Bool("f", false, "")
	lines := flags.Int("n", 10, "")
	if err := flags.Parse(c.args[1:]); err != nil {
		return 2
	}
	return inputs(c, flags.Args(), func(_ string, from io.Reader) error {
		content, err := io.ReadAll(from)
		if err != nil {
			return err
		}
		if _, err := c.stdout.Write(lastLines(content, *lines)); err != nil || !*follow {
			return err
		}
		return copyForever(ctx, c.stdout, from)
	})
}

// copyForever copies what a file gets.
func copyForever(ctx context.Context, to io.Writer, from io.Reader) error {
	const pause = 200 * time.Millisecond
	for {
		if _, err := io.Copy(to, from); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("interrupted")
		case <-time.After(pause):
		}
	}
}
