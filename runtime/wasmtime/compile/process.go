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
// machine it gets a small share of the processors. If it were killed for that, the next attempt
// would start again and not end either.
const patience = 5

// Runner turns files of modules into files of machine code.
type Runner struct {
	Argv   []string      // arguments of the process that compiles; empty: compile in this process, without limits
	Memory int64         // bytes, the limit for a compilation
	Time   time.Duration // the limit for a compilation
	Engine Engine        // for compiling in this process
}

// Cancellable reports whether a compilation ends with its context.
func (r *Runner) Cancellable() bool { return len(r.Argv) > 0 }

// ErrLimit means that a compilation exceeded its limit of memory or time.
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
			return fmt.Errorf("compiling: %w", err)
		}
		return nil
	}
	// The process is killed when the thread that made it ends (PDEATHSIG), and threads of this
	// process end with their guests. So one thread belongs to the process as long as it lives.
	failed := make(chan error, 1)
	go func() {
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		failed <- r.spawn(ctx, j, b, in, out)
	}()
	return <-failed
}

// spawn runs the process. It has no environment and only its three open files. It is killed when
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
		return fmt.Errorf("compiling: %w", parent.Err())
	case ctx.Err() != nil:
		return fmt.Errorf("compiling: took more than %v: %w", wait, ErrLimit)
	case err != nil:
		return processError(cmd, err, b.memory, seconds, strings.TrimSpace(string(said.text)))
	}
	return nil
}

// rustOutOfMemory is the beginning of a Rust program's message when an allocation fails.
const rustOutOfMemory = "memory allocation of "

// processError returns the reason why the process failed.
func processError(cmd *exec.Cmd, err error, memory, seconds int64, said string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("compiling: run %s: %w", cmd.Path, err)
	}
	tooMuch := fmt.Errorf("compiling: took more than %d MiB of memory: %w", memory>>20, ErrLimit)
	switch exit.ExitCode() {
	case exitRefused:
		return fmt.Errorf("compiling: %w", &RefusedError{message.Truncate(said)})
	case exitInput:
		return fmt.Errorf("compile: %s", message.Truncate(said))
	case exitShort:
		return tooMuch
	case exitBroken, exitMisused:
		return fmt.Errorf("compiling: the compiler failed: %w: %s", err, message.FirstLine(message.Truncate(said)))
	}
	usage, _ := exit.SysUsage().(*syscall.Rusage)
	status, _ := exit.Sys().(syscall.WaitStatus)
	// When an allocation fails, C's and Rust's allocators abort the process, and Go's runtime exits
	// with code 2.
	aborted := status.Signaled() && status.Signal() == syscall.SIGABRT
	allocator := aborted || exit.ExitCode() == 2
	switch {
	case aborted && strings.HasPrefix(said, rustOutOfMemory): // maybe because of one large allocation, so Maxrss may be small
		return tooMuch
	case exit.UserTime()+exit.SystemTime() >= time.Duration(seconds)*time.Second:
		return fmt.Errorf("compiling: took more than %d s of processor time: %w", seconds, ErrLimit)
	case allocator && usage != nil && usage.Maxrss<<10 > memory/2: // Maxrss is at least the memory of this process when it started the other
		return tooMuch
	}
	return fmt.Errorf("compiling: the compiler failed: %w: %s", err, message.FirstLine(message.Truncate(said)))
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
		return fmt.Errorf("starting the compiler: %w", err)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("the compiler %s cannot be executed", argv[0])
	}
	return nil
}
