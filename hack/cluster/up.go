package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/krustlet-go/krustlet-wasi/hack/cluster/controlplane"
)

const upUsage = `cluster up runs a control plane in the foreground until SIGINT or SIGTERM, and then
removes all that it made. When all is healthy it prints one line with the word "ready"
and the path of a kubeconfig. Several may run side by side, each in its own folder.

Usage:
  cluster up --dir DIR [flags]

Flags:
`

// up runs `cluster up` and returns the exit code: 0 stopped by the user, 1 failed, 2 wrong
// arguments.
func up(args []string, stdout, stderr io.Writer) int {
	settings := controlplane.Settings{Progress: stderr}
	flags := flag.NewFlagSet("cluster up", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&settings.Dir, "dir", "", "`folder` for the cluster's files; made if it is missing (required)")
	flags.IntVar(&settings.Port, "port", 0, "`port` of the API server on 127.0.0.1; 0 takes a free one")
	flags.BoolVar(&settings.Keep, "keep", false, "leave the components' logs in the folder at the end")
	withStdin := flags.Bool("until-stdin-closes", false, "stop also when standard input ends, as it does when the caller that holds it dies")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, upUsage)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "cluster up: %v; see \"cluster up --help\"\n", err)
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "cluster up: unexpected argument %q; see \"cluster up --help\"\n", flags.Arg(0))
		return 2
	}
	settings.Ready = func(kubeconfig string) {
		fmt.Fprintf(stdout, "cluster is ready: export KUBECONFIG=%s\n", kubeconfig)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if *withStdin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		// A read cannot be interrupted. This goroutine ends with the input or the process.
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	if err := controlplane.Run(ctx, settings); err != nil {
		fmt.Fprintf(stderr, "cluster up: %v\n", err)
		return 1
	}
	return 0
}
