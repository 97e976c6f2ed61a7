// Package cmdline is the command line: the process that commands run in, flags and their help, and
// what the user reads of a mistake.
package cmdline

import (
	"context"
	"fmt"
	"io"
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

// Process is what a command has of its process. Tests replace it.
type Process struct {
	Env            Environment
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Exit           func(code int) // ends the process; only a second signal calls it
}

// Execute runs the command that the arguments name, tells the user of its error, and returns the
// exit code.
func Execute(root *cobra.Command, args []string, stderr io.Writer) int {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetArgs(args)
	return exit.Report(root.ExecuteContext(context.Background()), stderr)
}

// Printf writes to a terminal, a pipe or a file of the user's. A failed write has no reader who
// could be told.
func Printf(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}

// PrepareProcess sets what guests need of the process that they run in. main calls it first.
func PrepareProcess() {
	dropEngineBacktraces()
	// A careless parent may have left files open, which workers and compilers must not inherit.
	// Only old kernels cannot do this.
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	// A guest's file that grows beyond RLIMIT_FSIZE is an error for the guest. It must not end the
	// process.
	signal.Ignore(syscall.SIGXFSZ)
}

// dropEngineBacktraces removes the variables that tell Rust programs to collect native backtraces.
// The engine would collect one for each trap and each error of a guest. That is slow, and only the
// engine's developers can use it: a guest's WebAssembly backtrace does not come from there. It must
// run before the first call of the engine, which reads the variables once.
func dropEngineBacktraces() {
	for _, name := range []string{"RUST_BACKTRACE", "RUST_LIB_BACKTRACE"} {
		// Unsetenv fails for an empty name only.
		_ = os.Unsetenv(name)
	}
}
