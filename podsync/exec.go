package podsync

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// outputLimit is how many bytes of the output of a probe or a hook are kept.
const outputLimit = 10 << 10

// session is the spec of a command beside a container's run. The command is a new instance of the
// same module, or of the module in its image that argv names. It has the same environment, files
// and limits, but no sockets, and is not served.
func session(of runtime.Spec, argv []string) runtime.Spec {
	s := of
	s.ID, s.Args = newID(), argv
	s.Of = runtime.Origin{Pod: of.Of.Pod, Beside: of.ID}
	s.Log, s.LogMaxSize, s.LogMaxFiles = "", 0, 0
	s.Stdin, s.StdinOnce, s.Listen, s.ListenFree = false, false, nil, nil
	s.HTTP = runtime.HTTP{} // nothing serves a command
	s.OutputRate = 0        // this limits the log, and a command has no log
	return s
}

// commands runs commands beside the runs of a pod's containers: for probes, hooks and users.
type commands struct{ *podActions }

// exec runs a command in a container and waits for its end. If ctx ends first, it kills the command
// and returns the error of ctx.
func (w commands) exec(ctx context.Context, spec runtime.Spec, streams runtime.Streams) (runtime.Exit, error) {
	spec, err := withProgram(spec)
	if err != nil {
		return runtime.Exit{}, err
	}
	process, err := w.node.Engine.Start(ctx, spec, streams)
	if err != nil {
		return runtime.Exit{}, err
	}
	defer process.Forget()
	select {
	case <-process.Done():
		return process.Exit(), nil
	case <-ctx.Done():
		process.Stop(0)
		<-process.Done()
		return process.Exit(), ctx.Err()
	}
}

// capture is exec, and returns the beginning of the command's output.
func (w commands) capture(ctx context.Context, spec runtime.Spec) (string, runtime.Exit, error) {
	var out output
	exit, err := w.exec(ctx, spec, runtime.Streams{Stdout: &out, Stderr: &out})
	return out.String(), exit, err
}

// output keeps the beginning of what is written to it.
type output struct {
	mu   sync.Mutex
	kept bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept.Write(p[:min(len(p), outputLimit-o.kept.Len())])
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept.String()
}

// withProgram is the spec of a command beside a container's run. If the image has several modules,
// argv[0] names the module.
func withProgram(spec runtime.Spec) (runtime.Spec, error) {
	program, err := registry.Beside(spec.Module, spec.Digest, spec.Args, spec.Env, spec.WorkDir)
	if err != nil {
		return runtime.Spec{}, fmt.Errorf("finding the module that the command names: %w", err)
	}
	spec.Module, spec.Digest = program.Path, program.Digest
	return spec, nil
}
