// Command krustlet-wasi is a kubelet whose containers are WebAssembly modules.
//
// Without a subcommand it is the node's agent. Package config reads and checks the settings,
// lock.go locks the data directory, and runAgent (agent.go) gets a valid Config, wires the rest of
// the project together, and blocks until its context is cancelled. Nothing is written to the disk
// before every setting has been checked. docs/configuration.md describes the settings to users.
//
// The agent starts other processes of this program: workers, which host the guests and live on when
// the agent ends (worker.go), and compilers of one module each (engine.go).
//
// metrics.go and tracing.go put together what the agent counts, and to whom it tells that.
//
// `krustlet-wasi run` (package run) runs one module without a cluster. `krustlet-wasi image`
// (package image) looks after a node's images, with or without a running agent.
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

// runProgram is the whole program except the end of the process. args are the arguments behind the
// program's name. The result is the exit code.
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
