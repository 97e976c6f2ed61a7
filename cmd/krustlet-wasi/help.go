package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
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

// rootHelp is what --help prints: it is made from the table of settings.
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
	for _, group := range groups {
		fmt.Fprintf(&b, "\n%s:\n", group)
		for _, s := range settings() {
			if s.group == group {
				b.WriteString(settingHelp(s))
			}
		}
	}
	b.WriteString("\nOther:\n  -h, --help\n        print this help\n  -V, --version\n        print the version\n")
	b.WriteString(helpOutro)
	return b.String()
}

// settingHelp is the lines of one setting.
func settingHelp(s setting) string {
	var b strings.Builder
	switch {
	case s.flag == "":
		fmt.Fprintf(&b, "      %s=%s (environment variable only)\n", s.env, s.arg)
	case s.short != "":
		fmt.Fprintf(&b, "  -%s, --%s=%s\n", s.short, s.flag, s.arg)
	default:
		fmt.Fprintf(&b, "      --%s=%s\n", s.flag, s.arg)
	}
	const indent = "        "
	for _, line := range wrap(s.usage, 80-len(indent)) {
		b.WriteString(indent + line + "\n")
	}
	facts := "default: " + s.def
	if s.flag != "" && s.env != "" {
		facts = "[$" + s.env + "] " + facts
	}
	for _, line := range wrap(facts, 80-len(indent)) {
		b.WriteString(indent + line + "\n")
	}
	return b.String()
}

// wrap breaks text between words into lines of at most width bytes, where words allow.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
