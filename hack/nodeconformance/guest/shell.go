package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// call is one call of a command, from outside or from a script.
type call struct {
	args           []string // the command's name comes first
	dir            string
	env            expand.Environ
	stdin          io.Reader
	stdout, stderr io.Writer
}

// errorf prints an error in the form of commands, and returns their exit code.
func (c call) errorf(format string, args ...any) int {
	fmt.Fprintf(c.stderr, "%s: %s\n", c.args[0], fmt.Sprintf(format, args...))
	return 1
}

// path is a path relative to the command's working directory.
func (c call) path(name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(c.dir, name)
}

// shell is sh: -c SCRIPT, a file, or the standard input.
func shell(ctx context.Context, c call) int {
	args := c.args[1:]
	exitOnError, script, source := false, "", c.args[0]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && len(args[0]) > 1 {
		flag := args[0]
		args = args[1:]
		exitOnError = exitOnError || strings.Contains(flag, "e")
		if !strings.Contains(flag, "c") {
			continue
		}
		if len(args) == 0 {
			return c.errorf("-c requires an argument")
		}
		script, args = args[0], args[1:]
		if len(args) > 0 {
			source, args = args[0], args[1:]
		}
		return interpret(ctx, c, script, source, args, exitOnError)
	}
	if len(args) > 0 {
		content, err := os.ReadFile(c.path(args[0]))
		if err != nil {
			return c.errorf("%v", err)
		}
		return interpret(ctx, c, string(content), args[0], args[1:], exitOnError)
	}
	content, err := io.ReadAll(c.stdin)
	if err != nil {
		return c.errorf("%v", err)
	}
	return interpret(ctx, c, string(content), source, nil, exitOnError)
}

// interpret runs a script with its positional parameters.
func interpret(ctx context.Context, c call, script, source string, params []string, exitOnError bool) int {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), source)
	if err != nil {
		c.errorf("%v", err)
		return 2
	}
	withoutPipes(file, "/tmp")
	options := []interp.RunnerOption{
		interp.StdIO(c.stdin, c.stdout, c.stderr),
		interp.Dir(c.dir),
		interp.Env(c.env),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return execute }),
		interp.OpenHandler(c.open),
		interp.CallHandler(withoutTraps),
		interp.Params(append([]string{"--"}, params...)...),
	}
	if exitOnError {
		options = append(options, interp.Params("-e"))
	}
	runner, err := interp.New(options...)
	if err != nil {
		return c.errorf("%v", err)
	}
	return exitCode(c, runner.Run(ctx, file))
}

// withoutTraps replaces a trap for signals by a command that does nothing. Signals are never sent.
func withoutTraps(_ context.Context, args []string) ([]string, error) {
	if len(args) < 2 || args[0] != "trap" {
		return args, nil
	}
	kept := slices.DeleteFunc(slices.Clone(args[2:]), func(event string) bool { return event != "EXIT" && event != "ERR" })
	if len(kept) == 0 {
		return []string{"true"}, nil
	}
	return append(args[:2:2], kept...), nil
}

func exitCode(c call, err error) int {
	var status interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	return c.errorf("%v", err)
}

// builtins are commands that are built into the shell.
var builtins = map[string]bool{
	"echo": true, "printf": true, "test": true, "[": true, "true": true, "false": true, "pwd": true,
}

// execute runs a command of a script.
func execute(ctx context.Context, args []string) error {
	h := interp.HandlerCtx(ctx)
	c := call{args: args, dir: h.Dir, env: h.Env, stdin: h.Stdin, stdout: h.Stdout, stderr: h.Stderr}
	if code := command(ctx, c); code != 0 {
		return interp.ExitStatus(code)
	}
	return nil
}

// command runs a command by its name. The name may include a folder.
func command(ctx context.Context, c call) int {
	name := path.Base(c.args[0])
	if name == "busybox" && len(c.args) > 1 {
		c.args = c.args[1:]
		return command(ctx, c)
	}
	if name == "sh" || name == "bash" || name == "ash" {
		return shell(ctx, c)
	}
	if builtins[name] {
		words := []string{name}
		for _, arg := range c.args[1:] {
			quoted, err := syntax.Quote(arg, syntax.LangBash)
			if err != nil {
				return c.errorf("%v", err)
			}
			words = append(words, quoted)
		}
		return interpret(ctx, c, strings.Join(words, " "), name, nil, false)
	}
	if applet, ok := applets()[name]; ok {
		return applet(ctx, c)
	}
	fmt.Fprintf(c.stderr, "sh: %s: not found\n", c.args[0])
	return 127
}

// open opens the files of redirections. A guest's files do not include /dev/null.
func (c call) open(ctx context.Context, name string, flag int, perm os.FileMode) (io.ReadWriteCloser, error) {
	switch name {
	case "/dev/null":
		return nothing{}, nil
	case "/proc/1/fd/1", "/dev/stdout", "/proc/self/fd/1":
		return output{os.Stdout}, nil
	}
	file, err := os.OpenFile(call{dir: interp.HandlerCtx(ctx).Dir}.path(name), flag, perm)
	var why *fs.PathError
	if errors.As(err, &why) {
		do := "open"
		if flag&os.O_CREATE != 0 {
			do = "create"
		}
		// The interpreter prints an error of this type and continues.
		return nil, &fs.PathError{Op: fmt.Sprintf("%s: can't %s", c.args[0], do), Path: name, Err: why.Err}
	}
	return file, err
}

// nothing is /dev/null.
type nothing struct{}

func (nothing) Read([]byte) (int, error)    { return 0, io.EOF }
func (nothing) Write(b []byte) (int, error) { return len(b), nil }
func (nothing) Close() error                { return nil }

// output is the container's own output. Close does not close it.
type output struct{ io.Writer }

func (output) Read([]byte) (int, error) { return 0, io.EOF }
func (output) Close() error             { return nil }
