package wasmtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Bounds of one compilation, where the Config sets none. A Go program of 3 MB takes 90 MB and 2 s of a
// processor; JavaScript's engine as a module, the largest in use, 430 MB and 13 s.
const (
	DefaultCompileMemory = 2 << 30 // bytes
	DefaultCompileTime   = 2 * time.Minute
)

// compilePatience is how much longer than on a machine that has nothing else to do a compilation may take. On a busy one it gets
// a small share of the processors, and to end it for that would have it begin anew and never be done.
const compilePatience = 5

// compiler turns modules into machine code.
type compiler struct {
	argv   []string      // of a process that does it; empty does it here, without bounds
	memory int64         // bytes
	limit  time.Duration // on an idle machine: it bounds the time of the processors
}

// cancellable says that a compilation ends with its context.
func (c *compiler) cancellable() bool { return len(c.argv) > 0 }

// ErrCompileLimit is the error of a compilation that took more memory or time than it may.
var ErrCompileLimit = errors.New("the module takes too much to compile")

// run compiles a module. Cancelling ctx ends the process that does it.
func (c *compiler) run(ctx context.Context, wasm []byte) ([]byte, error) {
	if len(c.argv) == 0 {
		code, err := translate(wasm)
		if err != nil {
			return nil, fmt.Errorf("compile: %w", err)
		}
		return code, nil
	}
	type result struct {
		code []byte
		err  error
	}
	// The process ends with the thread that made it (PDEATHSIG), and threads of this process end with their
	// guests: so it gets one to itself, for as long as it lives.
	got := make(chan result, 1)
	go func() {
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		code, err := c.spawn(ctx, wasm)
		got <- result{code, err}
	}()
	r := <-got
	return r.code, r.err
}

// spawn runs the process. It has no environment, no open file but its three, and dies with this process.
func (c *compiler) spawn(parent context.Context, wasm []byte) ([]byte, error) {
	wait := compilePatience * c.limit
	ctx, cancel := context.WithTimeout(parent, wait)
	defer cancel()
	seconds := int64(c.limit.Seconds()+1) * int64(goruntime.GOMAXPROCS(0))
	args := append(c.argv[1:len(c.argv):len(c.argv)], strconv.FormatInt(c.memory, 10), strconv.FormatInt(seconds, 10))
	cmd := exec.CommandContext(ctx, c.argv[0], args...)
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = time.Second
	code, errs := &bounded{max: maxCode}, &bounded{max: maxMessage, cut: true}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(wasm), code, errs
	err := cmd.Run()
	switch {
	case parent.Err() != nil:
		return nil, fmt.Errorf("compile: %w", parent.Err())
	case ctx.Err() != nil:
		return nil, fmt.Errorf("compile: took more than %v: %w", wait, ErrCompileLimit)
	case err != nil:
		return nil, c.failure(cmd, err, seconds, strings.TrimSpace(string(errs.text)))
	}
	return code.text, nil
}

// failure says why the process failed.
func (c *compiler) failure(cmd *exec.Cmd, err error, seconds int64, said string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("compile: run %s: %w", cmd.Path, err)
	}
	if exit.ExitCode() == compileRefused {
		return fmt.Errorf("compile: %s", truncate(said))
	}
	usage, _ := exit.SysUsage().(*syscall.Rusage)
	chosen := exit.ExitCode() == compileBroken || exit.ExitCode() == compileMisused
	switch {
	case exit.UserTime()+exit.SystemTime() >= time.Duration(seconds)*time.Second:
		return fmt.Errorf("compile: took more than %d s of processor time: %w", seconds, ErrCompileLimit)
	case !chosen && usage != nil && usage.Maxrss<<10 > c.memory/2:
		// An allocation that fails ends the process in its allocator's way: aborted by C's and Rust's, code 2 by Go's.
		return fmt.Errorf("compile: took more than %d MiB of memory: %w", c.memory>>20, ErrCompileLimit)
	}
	return fmt.Errorf("compile: the compiler failed: %w: %s", err, firstLine(truncate(said)))
}

// maxCode bounds the code of one module, in bytes.
const maxCode = 1 << 30

// bounded keeps what is written to it, up to max bytes. What is more is left out where cut is set, else an error.
type bounded struct {
	text []byte
	max  int
	cut  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.max - len(b.text)
	if len(p) > room && !b.cut {
		return 0, fmt.Errorf("more than %d bytes", b.max)
	}
	b.text = append(b.text, p[:min(len(p), room)]...)
	return len(p), nil
}

// checkCompiler makes sure that there is a program to run.
func checkCompiler(argv []string) error {
	if len(argv) == 0 {
		return nil
	}
	info, err := os.Stat(argv[0])
	if err != nil {
		return fmt.Errorf("wasmtime: the compiler: %w", err)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("wasmtime: the compiler %s cannot be executed", argv[0])
	}
	return nil
}
