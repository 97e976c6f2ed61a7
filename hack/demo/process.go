package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/background"
)

var quiet = log.New(io.Discard, "", 0)

// cmd is a command that is printed before it runs.
type cmd struct {
	cmd  *exec.Cmd
	line string
}

func command(ctx context.Context, env []string, name string, args ...string) cmd {
	c := cmd{cmd: exec.CommandContext(ctx, name, args...), line: commandLine(env, name, args...)}
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = 5 * time.Second
	return c
}

// commandLine is a command as a user types it.
func commandLine(env []string, name string, args ...string) string {
	var words []string
	for _, w := range append(append(append([]string{}, env...), name), args...) {
		if name, value, ok := strings.Cut(w, "="); ok && strings.Contains(value, " ") {
			w = name + "='" + value + "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func (c cmd) print() { fmt.Println("$", c.line) }

// run prints the command, runs it, and prints its output.
func (c cmd) run() error {
	c.print()
	c.cmd.Stdout, c.cmd.Stderr = os.Stdout, os.Stderr
	if err := c.cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", c.line, err)
	}
	return nil
}

// quietly runs the command. It prints the output only if the command fails.
func (c cmd) quietly() error {
	if out, err := c.cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", c.line, err, out)
	}
	return nil
}

// start prints a command and starts it in the background.
func start(env []string, name string, args ...string) (*background.Process, error) {
	fmt.Println("$", commandLine(env, name, args...), "&")
	return background.Start(env, name, args...)
}

// waitLine waits until a process prints a line that contains word. Then it prints the line.
func waitLine(ctx context.Context, p *background.Process, word string) error {
	line, err := p.WaitLine(ctx, word)
	fmt.Print(line)
	return err
}
