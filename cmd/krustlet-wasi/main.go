// Command krustlet-wasi is a kubelet whose containers are WebAssembly modules.
//
// Started without a subcommand it is the node's agent: it reads its settings (settings.go, config.go),
// takes the lock of its data directory (lock.go), and hands a valid Config to runAgent (agent.go), which
// wires the rest of the project together and blocks until its context is cancelled. Nothing is written to
// the disk before every setting has been found good. docs/configuration.md describes all of it to users.
//
// The agent starts other processes of this program: workers, which host the guests and go on when it ends
// (worker.go), and compilers of one module each (engine.go).
//
// What the agent counts and whom it tells is put together in metrics.go and tracing.go.
//
// `krustlet-wasi run` runs one module without a cluster: runconfig.go and runvalues.go understand its flags,
// runmodule.go finds the module in runcache.go's folders or elsewhere, run.go runs it, and runexit.go says what
// the end of the guest means for the process. docs/run.md describes it to users.
//
// `krustlet-wasi image` looks after a node's images, beside a running agent or without one: image.go has its subcommands,
// imageverbs.go what they do, imageoutput.go what they print. docs/registries.md describes them to users.
package main

import (
	"context"
	"io"
	"math"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

func main() {
	prepareProcess()
	if isCompiler(os.Args) {
		os.Exit(compile(os.Args))
	}
	if isWorker(os.Args) {
		os.Exit(hostGuests(os.Args, os.Stderr))
	}
	os.Exit(run(os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but for the end of the process: args are the arguments behind the program's
// name, and the result is the exit code.
func run(args []string, env environment, stdin io.Reader, stdout, stderr io.Writer) int {
	p := program{
		env:     env,
		stdin:   stdin,
		stdout:  stdout,
		stderr:  stderr,
		machine: thisMachine(stderr),
		agent: func(ctx context.Context, cfg Config, log *zap.Logger, level zap.AtomicLevel) error {
			return runAgent(ctx, cfg, stdout, log, level)
		},
		exit: os.Exit,
	}
	return p.run(args)
}

// prepareProcess sets what guests need of their process.
func prepareProcess() {
	dropEngineBacktraces()
	// What a careless parent has left open is no business of workers and compilers. This fails on old kernels only.
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	// A guest's file that grows beyond RLIMIT_FSIZE is an error for the guest, and not the end of all.
	signal.Ignore(syscall.SIGXFSZ)
}

// dropEngineBacktraces removes the variables by which Rust programs are told to collect native backtraces.
// The engine would collect one for every trap and every error of a guest, which is slow, and of use to the
// engine's own developers only: a guest's WebAssembly backtrace does not come from them. It must run before
// the engine is first called, as the answer is read once.
func dropEngineBacktraces() {
	for _, name := range []string{"RUST_BACKTRACE", "RUST_LIB_BACKTRACE"} {
		// Unsetenv fails for an empty name only.
		_ = os.Unsetenv(name)
	}
}
