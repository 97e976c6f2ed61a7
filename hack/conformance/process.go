package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"time"
)

// process is a program that runs.
type process struct {
	cmd            *exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr *output
	exited         chan struct{}
	err            error // of cmd.Wait, once exited is closed
	signalled      bool
	connections    map[string]net.Conn // to the program, by what its specification calls them
}

// ended is how a program ended.
type ended struct {
	code           int
	stdout, stderr string
	err            error // the process was lost
}

// patience is how long a stream of a process that has exited may stay open.
const patience = 5 * time.Second

func start(cmd *exec.Cmd) (*process, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("making the program's standard input: %w", err)
	}
	p := &process{cmd: cmd, stdin: stdin, stdout: newOutput(), stderr: newOutput(), exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = p.stdout, p.stderr, patience
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		p.stdout.end()
		p.stderr.end()
		close(p.exited)
	}()
	return p, nil
}

func (p *process) write(payload string) error {
	if _, err := io.WriteString(p.stdin, payload); err != nil {
		return fmt.Errorf("writing to the program: %w", err)
	}
	return nil
}

// read compares the next bytes of an output. It waits for them.
func (p *process) read(id, payload string) error {
	from := p.stdout
	switch id {
	case "", "stdout":
		id = "stdout"
	case "stderr":
		from = p.stderr
	default:
		return fmt.Errorf("reading %q: there is no such stream", id)
	}
	if got := from.next(len(payload)); got != payload {
		return fmt.Errorf("%s %q, want %q", id, got, payload)
	}
	return nil
}

// wait ends the standard input, and waits until the program has ended.
func (p *process) wait() ended {
	_ = p.stdin.Close()
	<-p.exited
	e := ended{stdout: p.stdout.whole(), stderr: p.stderr.whole()}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		e.err = fmt.Errorf("waiting for the program: %w", p.err)
		return e
	}
	e.code = p.cmd.ProcessState.ExitCode()
	return e
}

// kill ends the process, if it has not ended by itself, and waits for that.
func (p *process) kill() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Kill()
	<-p.exited
	for _, c := range p.connections {
		_ = c.Close()
	}
}

// output keeps what a program writes to one stream.
type output struct {
	mu    sync.Mutex
	more  *sync.Cond
	bytes []byte
	read  int
	ended bool
}

func newOutput() *output {
	o := &output{}
	o.more = sync.NewCond(&o.mu)
	return o
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes = append(o.bytes, b...)
	o.more.Broadcast()
	return len(b), nil
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.more.Broadcast()
}

// next takes n bytes, or what there is if the stream ends before.
func (o *output) next(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.bytes)-o.read < n && !o.ended {
		o.more.Wait()
	}
	n = min(n, len(o.bytes)-o.read)
	o.read += n
	return string(o.bytes[o.read-n : o.read])
}

func (o *output) whole() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.bytes)
}
