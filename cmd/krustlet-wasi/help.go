package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
)

const helpIntro = `krustlet-wasi is a kubelet: it joins a Kubernetes cluster as a node and runs
the node's pods as WebAssembly modules.

Usage:
  krustlet-wasi [flags]
`

const helpExamples = `
Examples:
  Join a cluster with a bootstrap file, made by hack/bootstrap.sh:
    krustlet-wasi --bootstrap-file=$HOME/.krustlet/config/bootstrap.conf

  Choose the address, the port and the name, and label the node:
    krustlet-wasi --node-ip=192.0.2.7 --port=3001 --node-name=wasm-1 --node-labels=disk=ssd

  Pull images from a registry without TLS:
    krustlet-wasi --insecure-registries=registry.local:5000
`

const helpOutro = `
Each setting is written with its flag, its environment variable and its default.
A flag goes before the variable, the variable before the configuration file,
the file before the default. DATA is the data directory.

Exit codes:
  0  stopped by SIGINT or SIGTERM
  1  failed while running
  2  a flag, variable, key of the configuration file, or file they name is wrong
  A second SIGINT or SIGTERM ends the process at once, with code 130 or 143.
`

// rootHelp is what --help prints. The table of settings is its source.
func rootHelp(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(helpIntro)
	if root.HasAvailableSubCommands() {
		b.WriteString("  krustlet-wasi COMMAND\n\nCommands:\n")
		for _, c := range root.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-10s %s\n", c.Name(), c.Short)
			}
		}
	}
	b.WriteString(helpExamples)
	b.WriteString(config.Help())
	b.WriteString("\nOther:\n  -h, --help\n        print this help\n  -V, --version\n        print the version\n")
	b.WriteString(helpOutro)
	return b.String()
}
