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
	"os"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
)

func main() {
	cmdline.PrepareProcess()
	if isCompiler(os.Args) {
		os.Exit(compile(os.Args))
	}
	if isWorker(os.Args) {
		os.Exit(hostGuests(os.Args, os.Stderr))
	}
	os.Exit(runProgram(os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr))
}

// runProgram is the whole program except the end of the process. args are the arguments behind the program's name. The result is the
// exit code.
func runProgram(args []string, env cmdline.Environment, stdin io.Reader, stdout, stderr io.Writer) int {
	p := program{
		Process: cmdline.Process{Env: env, Stdin: stdin, Stdout: stdout, Stderr: stderr, Exit: os.Exit},
		machine: config.ThisMachine(stderr),
		agent: func(ctx context.Context, cfg config.Config, log *zap.Logger, level zap.AtomicLevel) error {
			return runAgent(ctx, cfg, stdout, log, level)
		},
	}
	return p.run(args)
}
