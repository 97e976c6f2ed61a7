// Command demo joins a krustlet-wasi node to a real cluster on this machine and runs a pod on it.
// It does what a user would do by hand, and prints each command before it runs. `make demo` builds
// what the demo needs and starts it in the repository's root.
//
// The demo runs until Ctrl-C. With DEMO_EXIT=1 it exits after kubectl has printed the pod's first
// log line. Then the exit code is 0, or 1 if that took more than five minutes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// limit is how long the demo may take to the first log line.
const limit = 5 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx)
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		fmt.Println("\n== ended")
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	d, err := newDemo()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.show(ctx); err != nil {
		return fmt.Errorf("%w%s", err, d.agentLog())
	}
	if os.Getenv("DEMO_EXIT") == "1" {
		return nil
	}
	fmt.Printf(`
== The cluster stays up. In another terminal, in this folder:

   export KUBECONFIG=%s
   bin/cluster kubectl get pods -o wide
   bin/cluster kubectl logs -f hello-go
   bin/cluster kubectl describe node %s

   Publish a module of your own to %s and run it. Ctrl-C here ends all of it.
`, d.kubeconfig, nodeName, d.registry)
	<-ctx.Done()
	return nil
}

// show runs the demo up to the first lines of the pod's log.
func (d *demo) show(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no log line came through within %v", limit))
	defer cancel()
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"A Kubernetes cluster: etcd, API server, controller manager, scheduler", d.startCluster},
		{"A registry on loopback, and programs compiled to WebAssembly in it", d.publishGuests},
		{"A bootstrap token, and a file with it for the node", d.bootstrap},
		{"The node joins, and its serving certificate is approved", d.join},
		{"A pod of WebAssembly", d.runPod},
		{"What kubectl sees", d.look},
	} {
		fmt.Printf("\n== %s\n", step.title)
		if err := step.do(ctx); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
	}
	return nil
}
