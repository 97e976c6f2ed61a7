// Command guest is, for WASI preview 1, what the images of Kubernetes' node tests hold: a shell
// with the usual small commands, the subcommands of agnhost that those tests call, a web server and
// a program that does nothing. Which of them it is, its argv[0] says, as with busybox. So one
// module serves for all images and is compiled once.
//
// What WASI cannot do, the commands cannot either: there are no signals, so no traps for them; no
// users, so no owners and no permission bits of files; no other processes, so commands of a script
// run within the shell; and no way to open a connection or a listening socket, so servers take
// those that they were handed.
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

// run is the program by its arguments, the first of which names it.
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

// workDir is where the container starts.
func workDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return dir
}

// pause waits to be ended.
func pause() int {
	fmt.Println("Paused")
	for {
		time.Sleep(time.Hour) // a select without cases ends a program that has nothing else to do
	}
}
