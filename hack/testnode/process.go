package testnode

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a running agent.
type Process struct {
	cmd    *exec.Cmd
	stdout *output
	stderr *output
	done   chan struct{} // closed when the process has exited

	started time.Time
}

// Run starts the agent with these arguments. The environment is env, and PATH and HOME of the
// caller.
func Run(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	return RunBinary(t, Binary(t), env, args...)
}

// RunBinary is like Run, for another build of the agent.
func RunBinary(t testing.TB, binary string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{
		cmd:    exec.Command(binary, args...),
		stdout: newOutput(), stderr: newOutput(), done: make(chan struct{}),
		started: time.Now(),
	}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("testnode: starting the agent: %v", err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState has the result
		close(p.done)
	}()
	t.Cleanup(func() { p.cleanUp(t) })
	return p
}

func (p *Process) cleanUp(t testing.TB) {
	select {
	case <-p.done:
	default:
		p.Stop(t)
	}
	if log := p.stderr.String(); strings.Contains(log, "WARNING: DATA RACE") {
		t.Errorf("the agent has a data race:\n%s", log)
	}
	if t.Failed() {
		t.Logf("agent %v:\n%s", p.cmd.Args[1:], p.Tail())
	}
}

// Signal sends a signal.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Errorf("testnode: %v", err)
	}
}

// Stop sends SIGTERM and expects exit code 0.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	if code := p.Wait(t); code != 0 {
		t.Errorf("the agent ended with %v after SIGTERM:\n%s", p.cmd.ProcessState, p.Tail())
	}
}

// Wait waits until the process has exited and returns the exit code; -1: a signal killed it.
func (p *Process) Wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(Patience):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // prints the stack of every goroutine
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
		t.Errorf("the agent did not end within %v:\n%s", Patience, p.stderr)
	}
	return p.cmd.ProcessState.ExitCode()
}

// WaitOutput waits for a line of standard output that begins with prefix, and returns the line.
func (p *Process) WaitOutput(t testing.TB, prefix string) string {
	t.Helper()
	deadline := time.After(Patience)
	for {
		changed := p.stdout.changed()
		for line := range strings.Lines(p.stdout.String()) {
			if strings.HasPrefix(line, prefix) {
				return strings.TrimSuffix(line, "\n")
			}
		}
		select {
		case <-changed:
		case <-p.done:
			t.Fatalf("the agent ended and never printed %q:\n%s", prefix, p.Tail())
		case <-deadline:
			t.Fatalf("the agent did not print %q within %v:\n%s", prefix, Patience, p.Tail())
		}
	}
}

// Stdout is what the agent has printed to standard output so far.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr is what the agent has logged so far.
func (p *Process) Stderr() string { return p.stderr.String() }

// PID is the agent's process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Tail is the end of the agent's log.
func (p *Process) Tail() string {
	return fmt.Sprintf("%s%s", p.stdout, tail(p.stderr.String()))
}

// tail is the end of a log.
func tail(log string) string {
	const limit = 6000
	if len(log) > limit {
		return "…" + log[len(log)-limit:]
	}
	return log
}

// output keeps what is written to it, and reports every write.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	news chan struct{} // closed and replaced at every write
}

func newOutput() *output { return &output{news: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.news)
	o.news = make(chan struct{})
	return o.buf.Write(b)
}

func (o *output) changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.news
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Files is how many files the agent has open.
func (p *Process) Files(t testing.TB) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	if err != nil {
		t.Fatalf("testnode: %v", err)
	}
	return len(open)
}
