package testcluster

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 120 * time.Second
	// stopTimeout is longer than `cluster up` waits for its four components.
	stopTimeout = 30 * time.Second
)

// process is a running `cluster up`.
type process struct {
	cmd *exec.Cmd
	// stdin is never written to. With --until-stdin-closes the cluster stops when stdin is closed.
	// The kernel closes it when this process exits.
	stdin      io.Closer
	stderr     *tail
	kubeconfig string
	// gone is closed when the process has exited. Then err says how.
	gone chan struct{}
	err  error
}

// startProcess runs `cluster up` with these arguments and waits until the cluster is ready.
func startProcess(args ...string) (*process, error) {
	binary := binary()
	if _, err := os.Stat(binary); errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New(`bin/cluster is missing: run "make cluster" first`)
	}
	p := &process{stderr: &tail{}, gone: make(chan struct{})}
	p.cmd = exec.Command(binary, append([]string{"up"}, args...)...)
	p.cmd.Stderr = p.stderr
	// Ctrl-C must reach only the test binary, which may need the cluster to clean up.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting the cluster: %w", err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the cluster: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the cluster: %w", err)
	}
	ready := make(chan string, 1)
	go func() {
		readReady(stdout, ready)
		p.err = p.cmd.Wait()
		close(p.gone)
	}()
	if p.kubeconfig, err = p.waitReady(ready); err != nil {
		return nil, fmt.Errorf("%w; the end of what it said:\n%s", err, p.stderr)
	}
	return p, nil
}

// readReady sends the path of the kubeconfig when the line with it arrives. It reads the output to
// its end.
func readReady(stdout io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if _, path, found := strings.Cut(lines.Text(), "ready: export KUBECONFIG="); found {
			ready <- path
			break
		}
	}
	_, _ = io.Copy(io.Discard, stdout)
}

func (p *process) waitReady(ready <-chan string) (string, error) {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case kubeconfig := <-ready:
		return kubeconfig, nil
	case <-p.gone:
		return "", fmt.Errorf("the cluster did not start: %v", p.cmd.ProcessState)
	case <-timeout.C:
		_ = p.stop()
		return "", fmt.Errorf("the cluster was not ready after %v", startTimeout)
	}
}

// stop ends the cluster and waits until it has exited.
func (p *process) stop() error {
	defer func() { _ = p.stdin.Close() }()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.gone
		return fmt.Errorf("it had to be killed after %v; the end of what it said:\n%s", stopTimeout, p.stderr)
	}
	if p.err != nil {
		return fmt.Errorf("%w; the end of what it said:\n%s", p.err, p.stderr)
	}
	return nil
}

// tail is a writer that keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailSize = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailSize; over > 0 {
		t.kept = t.kept[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.kept))
}
