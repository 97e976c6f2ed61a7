package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

var quiet = log.New(io.Discard, "", 0)

// cmd is a command that is printed before it runs.
type cmd struct {
	cmd  *exec.Cmd
	line string
}

func command(ctx context.Context, env []string, name string, args ...string) cmd {
	c := cmd{cmd: exec.CommandContext(ctx, name, args...)}
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = 5 * time.Second
	var words []string
	for _, w := range append(append(append([]string{}, env...), name), args...) {
		if name, value, ok := strings.Cut(w, "="); ok && strings.Contains(value, " ") {
			w = name + "='" + value + "'"
		}
		words = append(words, w)
	}
	c.line = strings.Join(words, " ")
	return c
}

func (c cmd) print() { fmt.Println("$", c.line) }

// run prints the command and what it prints.
func (c cmd) run() error {
	c.print()
	c.cmd.Stdout, c.cmd.Stderr = os.Stdout, os.Stderr
	if err := c.cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", c.line, err)
	}
	return nil
}

// quietly runs the command, and prints what it printed only if it fails.
func (c cmd) quietly() error {
	if out, err := c.cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", c.line, err, out)
	}
	return nil
}

// process is a command in the background. It is in a process group of its own, so that Ctrl-C reaches this
// program first, which then ends everything in order.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	out   bytes.Buffer
	fresh chan struct{} // closed and replaced when there is more
}

func start(env []string, name string, args ...string) (*process, error) {
	c := command(context.Background(), env, name, args...)
	fmt.Println("$", c.line, "&")
	p := &process{cmd: c.cmd, done: make(chan struct{}), fresh: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // told by ProcessState
		close(p.done)
	}()
	return p, nil
}

// Write takes what the process prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.fresh)
	p.fresh = make(chan struct{})
	return p.out.Write(b)
}

// waitLine waits for a line with that word in it, and prints it.
func (p *process) waitLine(ctx context.Context, word string) error {
	for {
		p.mu.Lock()
		text, fresh := p.out.String(), p.fresh
		p.mu.Unlock()
		for line := range strings.Lines(text) {
			if strings.Contains(line, word) {
				fmt.Print(line)
				return nil
			}
		}
		select {
		case <-fresh:
		case <-p.done:
			return fmt.Errorf("%s ended (%v):\n%s", p.cmd.Path, p.cmd.ProcessState, p.log())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// stop ends the process and waits for it.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails if it has ended
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s: %v:\n%s", p.cmd.Path, p.cmd.ProcessState, p.log())
	}
	return nil
}
