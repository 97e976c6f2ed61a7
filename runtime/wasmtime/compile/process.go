package compile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	goruntime "runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/message"
)

// patience is how many times longer than on an idle machine a compilation may take. On a busy
// machine it gets a small share of the processors; if it were killed for that, the next one would
// begin again and not end either.
const patience = 5

// Runner turns files of modules into files of machine code.
type Runner struct {
	Argv   []string      // of the process that compiles; empty compiles in this process, without bounds
	Memory int64         // bytes, the most that a compilation may take
	Time   time.Duration // the most that it may take
	Engine Engine        // compiles in this process
}

// Cancellable reports whether a compilation ends with its context.
func (r *Runner) Cancellable() bool { return len(r.Argv) > 0 }

// ErrLimit is the error of a compilation that took more memory or time than it may.
var ErrLimit = errors.New("the module takes too much to compile")

// Module is a module that is to be compiled.
type Module struct {
	Form   Form
	Digest string // under which its code is kept
	Size   int64  // bytes
}

// Run compiles the module that in begins with to the file out. When ctx ends, the process that
// compiles is killed.
func (r *Runner) Run(ctx context.Context, m Module, in io.Reader, out *os.File) error {
	b := r.bounds(m.Size)
	j := job{digest: m.Digest, form: m.Form, size: m.Size, code: b.code}
	if len(r.Argv) == 0 {
		if err := j.run(r.Engine, in, out); err != nil {
			return fmt.Errorf("compile: %w", err)
		}
		return nil
	}
	// The process is killed with the thread that made it (PDEATHSIG), and threads of this process
	// end with their guests. So the process gets a thread to itself for as long as it lives.
	failed := make(chan error, 1)
	go func() {
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		failed <- r.spawn(ctx, j, b, in, out)
	}()
	return <-failed
}

// spawn runs the process. It has no environment and no open file but its three, and is killed when
// this process exits.
func (r *Runner) spawn(parent context.Context, j job, b bounds, in io.Reader, out *os.File) error {
	wait := patience * b.time
	ctx, cancel := context.WithTimeout(parent, wait)
	defer cancel()
	seconds := int64(b.time.Seconds()+1) * int64(goruntime.GOMAXPROCS(0))
	cmd := exec.CommandContext(ctx, r.Argv[0], append(slices.Clone(r.Argv[1:]), arguments(j, b, seconds)...)...)
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = time.Second
	said := &head{max: message.Max}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, said
	err := cmd.Run()
	switch {
	case parent.Err() != nil:
		return fmt.Errorf("compile: %w", parent.Err())
	case ctx.Err() != nil:
		return fmt.Errorf("compile: took more than %v: %w", wait, ErrLimit)
	case err != nil:
		return processError(cmd, err, b.memory, seconds, strings.TrimSpace(string(said.text)))
	}
	return nil
}

// rustOutOfMemory begins the message of a Rust program in which an allocation fails.
const rustOutOfMemory = "memory allocation of "

// processError says why the process failed.
func processError(cmd *exec.Cmd, err error, memory, seconds int64, said string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("compile: run %s: %w", cmd.Path, err)
	}
	tooMuch := fmt.Errorf("compile: took more than %d MiB of memory: %w", memory>>20, ErrLimit)
	switch exit.ExitCode() {
	case exitRefused:
		return fmt.Errorf("compile: %w", &RefusedError{message.Truncate(said)})
	case exitInput:
		return fmt.Errorf("compile: %s", message.Truncate(said))
	case exitShort:
		return tooMuch
	case exitBroken, exitMisused:
		return fmt.Errorf("compile: the compiler failed: %w: %s", err, message.FirstLine(message.Truncate(said)))
	}
	usage, _ := exit.SysUsage().(*syscall.Rusage)
	status, _ := exit.Sys().(syscall.WaitStatus)
	// When an allocation fails, C's and Rust's allocators abort the process, and Go's exits with
	// code 2.
	aborted := status.Signaled() && status.Signal() == syscall.SIGABRT
	allocator := aborted || exit.ExitCode() == 2
	switch {
	case aborted && strings.HasPrefix(said, rustOutOfMemory): // perhaps of one large piece, so Maxrss may be small
		return tooMuch
	case exit.UserTime()+exit.SystemTime() >= time.Duration(seconds)*time.Second:
		return fmt.Errorf("compile: took more than %d s of processor time: %w", seconds, ErrLimit)
	case allocator && usage != nil && usage.Maxrss<<10 > memory/2: // Maxrss is at least what this process had when it started the other
		return tooMuch
	}
	return fmt.Errorf("compile: the compiler failed: %w: %s", err, message.FirstLine(message.Truncate(said)))
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

// CheckArgv returns an error if the program of a Runner's Argv cannot be run.
func CheckArgv(argv []string) error {
	if len(argv) == 0 {
		return nil
	}
	info, err := os.Stat(argv[0])
	if err != nil {
		return fmt.Errorf("the compiler: %w", err)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("the compiler %s cannot be executed", argv[0])
	}
	return nil
}
