package wasmtime

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
)

// CompileCommand is the first argument with which a program that was given as Config.Compiler calls CompileMain.
const CompileCommand = "compile-module"

// Exit codes of CompileMain, behind 0, by sysexits.h where it has one. What else it ends with was not its choice. What it was
// that went wrong is on standard error.
const (
	compileMisused = 64 // EX_USAGE: it was called in a wrong way
	compileRefused = 65 // EX_DATAERR: this module will never be compiled
	compileInput   = 66 // EX_NOINPUT: what was read is not the module that was meant
	compileBroken  = 71 // EX_OSERR: the system refuses what is needed
	compileShort   = 75 // EX_TEMPFAIL: there is not enough memory
)

const statusDataField = "VmData:"

// CompileMain compiles the module on in to a file of compiled code on out, and returns an exit code. It is the whole of a process
// that another one has started for that, with two open files; it binds itself by its arguments before it reads anything.
func CompileMain(args []string, in io.Reader, out, errs io.Writer) int {
	err := compileMain(args, in, out)
	if err != nil {
		_, _ = fmt.Fprintln(errs, err)
	}
	return exitCodeOf(err)
}

func exitCodeOf(err error) int {
	var refused *refusedError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &refused):
		return compileRefused
	case errors.Is(err, errUsage):
		return compileMisused
	case errors.Is(err, errInput):
		return compileInput
	case errors.Is(err, errNoMemory):
		return compileShort
	}
	return compileBroken
}

var errUsage = fmt.Errorf("usage: %s DIGEST SIZE CODE-BYTES MEMORY-BYTES CPU-SECONDS NICE <module >code; the agent calls it, people have no use for it", CompileCommand)

// arguments are what parseArguments reads.
func arguments(j job, b bounds, seconds int64) []string {
	args := []string{j.digest}
	for _, n := range []int64{j.size, j.code, b.memory, seconds, int64(b.nice)} {
		args = append(args, strconv.FormatInt(n, 10))
	}
	return args
}

func parseArguments(args []string) (j job, b bounds, seconds int64, err error) {
	if len(args) != 6 || checkDigest(args[0]) != nil {
		return j, b, 0, errUsage
	}
	j.digest = args[0]
	var nicer int64
	for i, to := range []*int64{&j.size, &j.code, &b.memory, &seconds, &nicer} {
		n, err := strconv.ParseUint(args[1+i], 10, 62)
		if err != nil {
			return j, b, 0, errUsage
		}
		*to = int64(n)
	}
	b.nice = int(nicer)
	return j, b, seconds, nil
}

func compileMain(args []string, in io.Reader, out io.Writer) error {
	j, b, seconds, err := parseArguments(args)
	if err != nil {
		return err
	}
	if err := bindCompiler(b, j.code, seconds); err != nil {
		return err
	}
	return j.run(in, out)
}

// bindCompiler limits the process. Memory is bound by RLIMIT_DATA, not RLIMIT_AS: Go and the allocator of C
// reserve gigabytes of addresses that they never use. What the process has at its start does not count.
func bindCompiler(b bounds, code, seconds int64) error {
	base, err := dataSize()
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ) // a file that is too large is an error
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
			return fmt.Errorf("limit %s to %d: %w", l.what, l.value, err)
		}
	}
	// When memory runs out, it is the first to go: it can be started again.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	own, err := nice()
	if err != nil {
		return fmt.Errorf("lower the priority: %w", err)
	}
	// The process has threads already, each with a priority of its own; new ones inherit the one that makes them.
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("lower the priority: %w", err)
	}
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			_ = setNice(tid, own, b.nice) // a thread that has just ended needs none
		}
	}
	return nil
}

// dataSize is the private writable memory that the process has mapped, in bytes: what RLIMIT_DATA counts.
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
