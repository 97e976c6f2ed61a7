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

// patience is how long a program may take to end.
const patience = 30 * time.Second

// Process is a program that runs. It is in a process group of its own, so that Ctrl-C reaches this
// program first, which then ends everything in order.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	out   bytes.Buffer
	fresh chan struct{} // closed and replaced when there is more
}

// Start starts a program. env is added to this program's environment.
func Start(env []string, name string, args ...string) (*Process, error) {
	cmd := exec.CommandContext(context.Background(), name, args...) // ended by Stop
	p := &Process{cmd: cmd, done: make(chan struct{}), fresh: make(chan struct{})}
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // told by ProcessState
		close(p.done)
	}()
	return p, nil
}

// Write takes what the program prints.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.fresh)
	p.fresh = make(chan struct{})
	return p.out.Write(b)
}

// WaitLine waits for a line with that word in it, and returns it.
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

// Stop ends the program and waits for it. There is nothing to stop in nil.
func (p *Process) Stop() error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails if it has ended
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
