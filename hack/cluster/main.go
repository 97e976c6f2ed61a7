package main

import (
	"fmt"
	"io"
	"os"

	"github.com/krustlet-go/krustlet-wasi/hack/cluster/controlplane"
)

const usage = `cluster runs a whole Kubernetes control plane on this machine, out of one binary.

Usage:
  cluster up --dir DIR [--port N] [--keep]   run etcd, the API server, the controller manager
                                             and the scheduler until interrupted
  cluster kubectl ...                        kubectl of the same version

"cluster up --help" explains the flags.
`

func main() {
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}

// run starts the program that the first argument names.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) < 2 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	name := args[1]
	if component, ok := components[name]; ok {
		controlplane.DieWithParent()
		// The components read os.Args themselves.
		os.Args = args[1:]
		return component(os.Args)
	}
	switch name {
	case "up":
		return up(args[2:], stdout, stderr)
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprintf(stderr, "cluster: unknown command %q; run \"cluster help\" for the list\n", name)
	return 2
}
