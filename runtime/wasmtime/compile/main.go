package compile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/processor"
)

// Command is the first argument of a program that must call Main.
const Command = "compile-module"

// Exit codes of Main besides 0, from sysexits.h. Any other code means that the process did not
// choose its exit code. Standard error has the reason.
const (
	exitMisused = 64 // EX_USAGE: the arguments are wrong
	exitRefused = 65 // EX_DATAERR: this module is never compiled
	exitInput   = 66 // EX_NOINPUT: the file is not the requested module
	exitBroken  = 71 // EX_OSERR: the system refuses a necessary call
	exitShort   = 75 // EX_TEMPFAIL: there is not enough memory
)

const statusDataField = "VmData:"

// Main compiles the module on in, writes a file of compiled code to out, and returns an exit code.
// It is the main function of a process that a Runner has started. It sets the limits of the process
// from its arguments before it reads anything.
func Main(e Engine, args []string, in io.Reader, out, errs io.Writer) int {
	err := run(e, args, in, out)
	if err != nil {
		_, _ = fmt.Fprintln(errs, err)
	}
	return exitCodeOf(err)
}

func exitCodeOf(err error) int {
	var refused *RefusedError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &refused):
		return exitRefused
	case errors.Is(err, errUsage):
		return exitMisused
	case errors.Is(err, errInput):
		return exitInput
	case errors.Is(err, errNoMemory):
		return exitShort
	}
	return exitBroken
}

var errUsage = fmt.Errorf("usage: %s FORM DIGEST SIZE CODE-BYTES MEMORY-BYTES CPU-SECONDS NICE <module >code; the agent calls it, people have no use for it", Command)

// arguments makes the arguments that parseArguments reads.
func arguments(j job, b bounds, seconds int64) []string {
	args := []string{string(j.form), j.digest}
	for _, n := range []int64{j.size, j.code, b.memory, seconds, int64(b.nice)} {
		args = append(args, strconv.FormatInt(n, 10))
	}
	return args
}

func parseArguments(args []string) (j job, b bounds, seconds int64, err error) {
	if len(args) != 7 || codecache.CheckDigest(args[1]) != nil {
		return j, b, 0, errUsage
	}
	switch j.form, j.digest = Form(args[0]), args[1]; j.form {
	case AsCommand, AsPart, AsComponent:
	default:
		return j, b, 0, errUsage
	}
	var nicer int64
	for i, to := range []*int64{&j.size, &j.code, &b.memory, &seconds, &nicer} {
		n, err := strconv.ParseUint(args[2+i], 10, 62)
		if err != nil {
			return j, b, 0, errUsage
		}
		*to = int64(n)
	}
	b.nice = int(nicer)
	return j, b, seconds, nil
}

func run(e Engine, args []string, in io.Reader, out io.Writer) error {
	j, b, seconds, err := parseArguments(args)
	if err != nil {
		return err
	}
	if err := limitProcess(b, j.code, seconds); err != nil {
		return err
	}
	return j.run(e, in, out)
}

// limitProcess limits this process, and lowers its priority. It limits memory with RLIMIT_DATA and
// not with RLIMIT_AS, because Go and C's allocator reserve gigabytes of addresses that they never
// use. Memory that the process has at its start does not count.
func limitProcess(b bounds, code, seconds int64) error {
	base, err := dataSize()
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ) // so that a file that is too large gives an error
	for _, l := range []struct {
		what     string
		resource int
		value    uint64
	}{
		{"memory", unix.RLIMIT_DATA, base + uint64(b.memory)},
		{"processor time", unix.RLIMIT_CPU, uint64(seconds)},
		{"files", unix.RLIMIT_FSIZE, uint64(code)},
		{"core files", unix.RLIMIT_CORE, 0},
	} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.value, Max: l.value}); err != nil {
			return fmt.Errorf("limiting %s to %d: %w", l.what, l.value, err)
		}
	}
	// When memory runs out, the kernel kills this process first, because it can be started again.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	if err := lowerPriority(b.nice); err != nil {
		return fmt.Errorf("lowering the priority: %w", err)
	}
	return nil
}

// lowerPriority raises the nice value of all threads of this process. The process already has
// several threads, and each has its own priority. A new thread inherits the priority of the thread
// that makes it.
func lowerPriority(by int) error {
	own, err := processor.Current()
	if err != nil {
		return err
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			_ = own.Lower(tid, by) // a thread that has just ended is no problem
		}
	}
	return nil
}

// dataSize returns the private writable memory that the process has mapped, in bytes. RLIMIT_DATA
// counts this memory.
func dataSize() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, statusDataField); ok {
			kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 53)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc/self/status", statusDataField)
}
