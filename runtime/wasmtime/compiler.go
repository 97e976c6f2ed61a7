package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"syscall"
	"time"
)

// compilePatience is how much longer than on a machine that has nothing else to do a compilation may take. On a busy one it gets
// a small share of the processors, and to end it for that would have it begin anew and never be done.
const compilePatience = 5

// compiler turns files of modules into files of machine code. The bytes of neither are in this process, where another does it.
type compiler struct {
	argv   []string      // of a process that does it; empty does it here, without bounds
	memory int64         // bytes, the most
	limit  time.Duration // the most
}

// cancellable says that a compilation ends with its context.
func (c *compiler) cancellable() bool { return len(c.argv) > 0 }

// ErrCompileLimit is the error of a compilation that took more memory or time than it may.
var ErrCompileLimit = errors.New("the module takes too much to compile")

// run compiles the module of that digest and size that is in one file, to the other. Cancelling ctx ends the process that does it.
func (c *compiler) run(ctx context.Context, digest string, size int64, in, out *os.File) error {
	b := c.bounds(size)
	j := job{digest: digest, size: size, code: b.code}
	if len(c.argv) == 0 {
		if err := j.run(in, out); err != nil {
			return fmt.Errorf("compile: %w", err)
		}
		return nil
	}
	// The process ends with the thread that made it (PDEATHSIG), and threads of this process end with their
	// guests: so it gets one to itself, for as long as it lives.
	failed := make(chan error, 1)
	go func() {
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		failed <- c.spawn(ctx, j, b, in, out)
	}()
	return <-failed
}

// spawn runs the process. It has no environment, no open file but its three, and dies with this process.
func (c *compiler) spawn(parent context.Context, j job, b bounds, in, out *os.File) error {
	wait := compilePatience * b.limit
	ctx, cancel := context.WithTimeout(parent, wait)
	defer cancel()
	seconds := int64(b.limit.Seconds()+1) * int64(goruntime.GOMAXPROCS(0))
	cmd := exec.CommandContext(ctx, c.argv[0], append(c.argv[1:len(c.argv):len(c.argv)], arguments(j, b, seconds)...)...)
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = time.Second
	said := &head{max: maxMessage}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, said
	err := cmd.Run()
	switch {
	case parent.Err() != nil:
		return fmt.Errorf("compile: %w", parent.Err())
	case ctx.Err() != nil:
		return fmt.Errorf("compile: took more than %v: %w", wait, ErrCompileLimit)
	case err != nil:
		return compileError(cmd, err, b.memory, seconds, strings.TrimSpace(string(said.text)))
	}
	return nil
}

// rustOutOfMemory begins what a program of Rust says when an allocation fails.
const rustOutOfMemory = "memory allocation of "

// compileError says why the process failed.
func compileError(cmd *exec.Cmd, err error, memory, seconds int64, said string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("compile: run %s: %w", cmd.Path, err)
	}
	tooMuch := fmt.Errorf("compile: took more than %d MiB of memory: %w", memory>>20, ErrCompileLimit)
	switch exit.ExitCode() {
	case compileRefused:
		return fmt.Errorf("compile: %w", &refusedError{truncate(said)})
	case compileInput:
		return fmt.Errorf("compile: %s", truncate(said))
	case compileShort:
		return tooMuch
	case compileBroken, compileMisused:
		return fmt.Errorf("compile: the compiler failed: %w: %s", err, firstLine(truncate(said)))
	}
	usage, _ := exit.SysUsage().(*syscall.Rusage)
	status, _ := exit.Sys().(syscall.WaitStatus)
	// An allocation that fails ends the process in its allocator's way: aborted by C's and Rust's, code 2 by Go's.
	aborted := status.Signaled() && status.Signal() == syscall.SIGABRT
	allocator := aborted || exit.ExitCode() == 2
	switch {
	case aborted && strings.HasPrefix(said, rustOutOfMemory): // of one piece, perhaps, of which nothing is there yet
		return tooMuch
	case exit.UserTime()+exit.SystemTime() >= time.Duration(seconds)*time.Second:
		return fmt.Errorf("compile: took more than %d s of processor time: %w", seconds, ErrCompileLimit)
	case allocator && usage != nil && usage.Maxrss<<10 > memory/2: // which is at least what this process had at the start
		return tooMuch
	}
	return fmt.Errorf("compile: the compiler failed: %w: %s", err, firstLine(truncate(said)))
}

// head keeps the beginning of what is written to it.
type head struct {
	text []byte
	max  int
}

func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), h.max-len(h.text))]...)
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
