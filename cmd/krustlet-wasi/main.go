// Command krustlet-wasi is a kubelet whose containers are WebAssembly modules.
//
// Without a subcommand it is the node's agent. Package config reads and checks the settings.
// lock.go locks the data directory. runAgent (agent.go) gets a valid Config, connects the other
// parts of the project, and blocks until its context is cancelled. The program writes nothing to
// the disk before it has checked every setting. docs/configuration.md describes the settings to
// users.
//
// The agent starts other processes of this program: workers, which host the guests and outlive the
// agent (worker.go), and compilers, each for one module (engine.go).
//
// metrics.go collects what the agent counts. tracing.go sends traces to a collector.
//
// `krustlet-wasi run` (package run) runs one module without a cluster. `krustlet-wasi image`
// (package image) manages a node's images, with or without a running agent.
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

// runProgram is the whole program, but does not end the process. args are the arguments after the
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
