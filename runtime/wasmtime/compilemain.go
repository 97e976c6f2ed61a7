package wasmtime

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	wasmtimego "github.com/bytecodealliance/wasmtime-go/v39"
	"golang.org/x/sys/unix"
)

// CompileCommand is the first argument with which a program that was given as Config.Compiler calls CompileMain.
const CompileCommand = "compile-module"

// Exit codes of CompileMain, behind 0. Whatever else it ends with was not its choice.
const (
	compileRefused  = 65 // the module cannot be compiled; why is on standard error (EX_DATAERR of sysexits.h)
	compileMisused  = 64 // it was called in a wrong way (EX_USAGE)
	compileBroken   = 71 // the system refuses what is needed (EX_OSERR)
	maxModuleBytes  = 1 << 30
	statusDataField = "VmData:"
)

// CompileMain compiles the module on in to machine code on out, and returns an exit code. It is the whole of a process that
// another one has started for that, and binds itself by its arguments before it reads anything: bytes of memory
// that it may take, and seconds of processor time.
func CompileMain(args []string, in io.Reader, out, errs io.Writer) int {
	code, err := compileMain(args, in, out)
	if err != nil {
		_, _ = fmt.Fprintln(errs, err)
	}
	return code
}

func compileMain(args []string, in io.Reader, out io.Writer) (int, error) {
	if len(args) != 2 {
		return compileMisused, fmt.Errorf("usage: %s MEMORY-BYTES CPU-SECONDS <module >code; the agent calls it, people have no use for it", CompileCommand)
	}
	memory, err := strconv.ParseUint(args[0], 10, 62)
	if err != nil {
		return compileMisused, fmt.Errorf("bytes of memory: %w", err)
	}
	seconds, err := strconv.ParseUint(args[1], 10, 32)
	if err != nil {
		return compileMisused, fmt.Errorf("seconds of processor time: %w", err)
	}
	if err := bindCompiler(memory, seconds); err != nil {
		return compileBroken, err
	}
	wasm, err := io.ReadAll(io.LimitReader(in, maxModuleBytes))
	if err != nil {
		return compileBroken, fmt.Errorf("read the module: %w", err)
	}
	code, err := translate(wasm)
	if err != nil {
		return compileRefused, err
	}
	if _, err := out.Write(code); err != nil {
		return compileBroken, fmt.Errorf("write the code: %w", err)
	}
	return 0, nil
}

// translate compiles a module to what unpack takes apart: code that the engine loads. Where growth of memory cannot be
// watched, the module is compiled as it is.
func translate(wasm []byte) ([]byte, error) {
	native := wasmtimego.NewEngineWithConfig(settings())
	defer native.Close()
	if watched, moved, err := watchGrowth(wasm); err == nil {
		if code, err := machineCode(native, watched); err == nil {
			return moved.simplify().pack(code), nil
		}
	}
	code, err := machineCode(native, wasm)
	if err != nil {
		return nil, errors.New(truncate(err.Error()))
	}
	return shifts{}.pack(code), nil
}

func machineCode(native *wasmtimego.Engine, wasm []byte) ([]byte, error) {
	m, err := wasmtimego.NewModule(native, wasm)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.Serialize()
}

// bindCompiler limits the process. Memory is bound by RLIMIT_DATA, not RLIMIT_AS: Go and the allocator of C
// reserve gigabytes of addresses that they never use. What the process has at its start does not count.
func bindCompiler(memory, seconds uint64) error {
	base, err := dataSize()
	if err != nil {
		return err
	}
	for _, l := range []struct {
		what     string
		resource int
		value    uint64
	}{
		{"memory", unix.RLIMIT_DATA, base + memory},
		{"processor time", unix.RLIMIT_CPU, seconds},
		{"core files", unix.RLIMIT_CORE, 0},
	} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.value, Max: l.value}); err != nil {
			return fmt.Errorf("limit %s to %d: %w", l.what, l.value, err)
		}
	}
	// To its pod, compiling is the beginning of the guest. Far behind all others, it would never be done on a busy machine.
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
			_ = setNice(tid, own, guestNice) // a thread that has just ended needs none
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
