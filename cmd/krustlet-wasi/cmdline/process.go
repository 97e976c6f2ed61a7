// Package cmdline is the command line: the process in which commands run, flags and their help, and
// messages about a user's mistakes.
package cmdline

import (
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
)

// Environment looks up a variable, as os.LookupEnv does.
type Environment func(name string) (value string, set bool)

// Process is the part of its process that a command uses. Tests replace it.
type Process struct {
	Env            Environment
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Exit           func(code int) // ends the process; only a second signal calls it
}

// Execute runs the command that the arguments name, and returns the exit code. It prints the
// command's error.
func Execute(root *cobra.Command, args []string, stderr io.Writer) int {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetArgs(args)
	return exit.Report(root.ExecuteContext(context.Background()), stderr)
}

// Printf writes to the user's terminal, pipe or file. It ignores a failed write: there is no other
// way to tell the user.
func Printf(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}

// PrepareProcess changes the settings of the process for the guests in it. main calls it first.
func PrepareProcess() {
	dropEngineBacktraces()
	// The parent may have left files open. Workers and compilers must not inherit them. CloseRange
	// fails only on old kernels.
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	// If a guest's file grows beyond RLIMIT_FSIZE, the guest gets an error. The signal must not end
	// the process.
	signal.Ignore(syscall.SIGXFSZ)
	silence()
}

// silence drops what libraries give to package log, until the agent sends it elsewhere. net/http
// quotes there what a server sends without a request: a server that a guest talks to could fill the
// log of a worker with its bytes.
func silence() { log.SetOutput(io.Discard) }

// dropEngineBacktraces removes the variables that tell Rust programs to collect native backtraces.
// The engine would collect one for each trap and each error of a guest. That is slow, and helps
// only the engine's developers: a guest's WebAssembly backtrace has another source.
// dropEngineBacktraces must run before the first call of the engine, which reads the variables
// once.
func dropEngineBacktraces() {
	for _, name := range []string{"RUST_BACKTRACE", "RUST_LIB_BACKTRACE"} {
		// Unsetenv fails only if the name is empty.
		_ = os.Unsetenv(name)
	}
}
