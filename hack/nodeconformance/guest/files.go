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
	"regexp"
	"slices"
	"time"
)

// flagsOf are the flags of a command. Errors about wrong flags go to the command's standard error.
func flagsOf(c call) *flag.FlagSet {
	flags := flag.NewFlagSet(c.args[0], flag.ContinueOnError)
	flags.SetOutput(c.stderr)
	return flags
}

// joined matches a flag of one letter that is followed directly by its number.
var joined = regexp.MustCompile(`^-([a-z])(\d+)$`)

// parse reads the flags from a command's arguments.
func (c call) parse(flags *flag.FlagSet) error {
	args := slices.Clone(c.args[1:])
	for i, arg := range args {
		args[i] = joined.ReplaceAllString(arg, "-$1=$2")
	}
	return flags.Parse(args)
}

func ls(_ context.Context, c call) int {
	flags := flagsOf(c)
	long := flags.Bool("l", false, "")
	all := flags.Bool("a", false, "")
	longAll := flags.Bool("la", false, "")
	allLong := flags.Bool("al", false, "")
	flags.Bool("1", false, "")
	if err := c.parse(flags); err != nil {
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

// find lists the files below a folder. -type selects one type.
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
	if err := c.parse(flags); err != nil {
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

// tee copies its input to its output and to files.
func tee(_ context.Context, c call) int {
	flags := flagsOf(c)
	add := flags.Bool("a", false, "")
	if err := c.parse(flags); err != nil {
		return 2
	}
	how := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if *add {
		how = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	to := []io.Writer{c.stdout}
	for _, name := range flags.Args() {
		file, err := os.OpenFile(c.path(name), how, 0o666)
		if err != nil {
			return c.errorf("%v", err)
		}
		defer func() { _ = file.Close() }()
		to = append(to, file)
	}
	if _, err := io.Copy(io.MultiWriter(to...), c.stdin); err != nil {
		return c.errorf("%v", err)
	}
	return 0
}

// tail prints files without their first lines. -f continues for ever.
func tail(ctx context.Context, c call) int {
	flags := flagsOf(c)
	follow := flags.Bool("f", false, "")
	lines := flags.Int("n", 10, "")
	if err := c.parse(flags); err != nil {
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

// copyForever copies the data that is added to a file.
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
