package background

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a program may take to exit.
const patience = 30 * time.Second

// Process is a running program. It has its own process group, so that Ctrl-C reaches only this
// program, which then ends everything in order.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	out   bytes.Buffer
	fresh chan struct{} // closed and replaced when there is more output
}

// Start starts a program. env is added to this program's environment.
func Start(env []string, name string, args ...string) (*Process, error) {
	cmd := exec.CommandContext(context.Background(), name, args...) // Stop ends it
	p := &Process{cmd: cmd, done: make(chan struct{}), fresh: make(chan struct{})}
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // ProcessState has the result
		close(p.done)
	}()
	return p, nil
}

// Write gets the program's output.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.fresh)
	p.fresh = make(chan struct{})
	return p.out.Write(b)
}

// WaitLine waits for a line that contains word, and returns it.
func (p *Process) WaitLine(ctx context.Context, word string) (string, error) {
	for {
		p.mu.Lock()
		text, fresh := p.out.String(), p.fresh
		p.mu.Unlock()
		for line := range strings.Lines(text) {
			if strings.Contains(line, word) {
				return line, nil
			}
		}
		select {
		case <-fresh:
		case <-p.done:
			return "", fmt.Errorf("%s ended (%v):\n%s", p.cmd.Path, p.cmd.ProcessState, p.Log())
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// Log is what the program has printed so far.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// Stop ends the program and waits for it. With nil it does nothing.
func (p *Process) Stop() error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails if the program has exited
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s: %v:\n%s", p.cmd.Path, p.cmd.ProcessState, p.Log())
	}
	return nil
}
