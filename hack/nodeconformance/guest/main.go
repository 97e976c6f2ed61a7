// Command guest replaces the images of Kubernetes' node tests, for WASI preview 1. It has a shell
// with the usual small commands, the subcommands of agnhost that the tests call, a web server, and
// a program that does nothing. As in busybox, argv[0] selects the program. So one module is enough
// for all images and is compiled once.
//
// The commands cannot do what WASI cannot do. There are no signals, so traps do nothing. There are
// no users, so files have no owners and no permission bits. There are no other processes, so a
// script's commands run within the shell. Connections and datagrams are by the functions that
// WasmEdge has added to preview 1. Servers of TCP use the sockets that they get, if they get some.
package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"time"

	"mvdan.cc/sh/v3/expand"
)

func main() {
	os.Exit(run(os.Args))
}

// run runs the program that the first argument names.
func run(args []string) int {
	if len(args) == 0 {
		args = []string{"sh"}
	}
	stdio := call{args: args, dir: workDir(), env: expand.ListEnviron(os.Environ()...), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	ctx := context.Background()
	switch name := path.Base(args[0]); name {
	case "agnhost", "agnhost-2":
		return agnhost(args)
	case "pause":
		return pause()
	case "nginx", "httpd":
		return webServer(80)
	case "busybox":
		if len(args) == 1 {
			args = []string{"busybox", "sh"}
		}
		return run(args[1:])
	case "sh", "bash", "ash":
		return shell(ctx, stdio)
	default:
		return command(ctx, stdio)
	}
}

// workDir is the directory in which the container starts.
func workDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return dir
}

// pause waits until the guest is ended.
func pause() int {
	fmt.Println("Paused")
	for {
		time.Sleep(time.Hour) // an empty select would end a program that has nothing else to do
	}
}
