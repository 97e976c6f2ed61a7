package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// contestant is a server with what it serves.
type contestant struct {
	name    string
	handler string
	command []string
}

// contestants are the servers, net/http first.
func contestants(s settings, own string) []contestant {
	all := []contestant{{"net/http", "-", []string{own, "-serve"}}}
	for _, file := range s.files {
		handler := strings.TrimSuffix(filepath.Base(file), ".wasm")
		for _, reuse := range reuses(s.reuse) {
			if s.wasmtime != "" {
				all = append(all, contestant{"wasmtime" + reuse.label, handler, wasmtimeServe(s.wasmtime, file, reuse.count)})
			}
			if s.agent != "" {
				all = append(all, contestant{"krustlet-wasi" + reuse.label, handler, agentServe(s.agent, file, reuse.count)})
			}
		}
	}
	return all
}

// reuse is how many requests an instance answers: 0 is what the server does by itself.
type reuse struct {
	count int
	label string
}

func reuses(n int) []reuse {
	if n == 0 {
		return []reuse{{}}
	}
	return []reuse{{}, {n, ", reuse " + strconv.Itoa(n)}}
}

func wasmtimeServe(program, file string, reuse int) []string {
	args := []string{program, "serve", "--addr", "127.0.0.1:0", "-S", "cli", "-C", "cache=y",
		"-W", "component-model-async=y"}
	if reuse > 0 {
		args = append(args, "--max-instance-reuse-count", strconv.Itoa(reuse))
	}
	return append(args, file)
}

// agentServe is the command of the product. AGENT_REUSE names its flag for the reuse of instances.
func agentServe(program, file string, reuse int) []string {
	args := []string{program, "run", "--listen", "127.0.0.1:0"}
	if flag := os.Getenv("AGENT_REUSE"); reuse > 0 && flag != "" {
		args = append(args, flag+"="+strconv.Itoa(reuse))
	}
	return append(args, file)
}

// serve is the yardstick: net/http that answers what the handlers answer.
func serve(ctx context.Context, _ settings) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "http://%s\n", listener.Addr())
	server := http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("content-type", "text/plain")
			_, _ = io.WriteString(w, "hello\n")
		}),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

const (
	startTime = 2 * time.Minute // a handler in Python has to be compiled
	endTime   = 5 * time.Second
)

// server is a process that serves.
type server struct {
	cmd  *exec.Cmd
	url  string
	read chan error // ends when all that it said is read
}

var address = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)

// start starts a server and waits until it says where it listens.
func start(ctx context.Context, command []string) (*server, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...) // stop ends it
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, read: make(chan error, 1)}
	found := make(chan string, 1)
	go func() { s.read <- follow(stderr, found) }()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	select {
	case s.url = <-found:
		return s, nil
	case err := <-s.read:
		_ = cmd.Wait()
		return nil, fmt.Errorf("the server ended before it said where it listens: %w", err)
	case <-ctx.Done():
		s.stop()
		return nil, fmt.Errorf("waiting for the server's address: %w", ctx.Err())
	}
}

// follow reads what a server says, to its end, and sends on found the first address. The error has
// the last line that came.
func follow(from io.Reader, found chan<- string) error {
	lines := bufio.NewReader(from)
	last, sent := "", false
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			last = strings.TrimSpace(line)
		}
		if url := address.FindString(line); url != "" && !sent {
			sent = true
			found <- url
		}
		if err != nil {
			return errors.New("its last line was: " + last)
		}
	}
}

// stop ends the server and waits until it has exited.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(endTime, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	<-s.read //nolint:errcheck // why it was read no more is of no use now
	_ = s.cmd.Wait()
}

// memory is the most memory that the server had, in MiB.
func (s *server) memory() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kib, _ := strconv.ParseFloat(fields[1], 64)
			return kib / 1024
		}
	}
	return 0
}
