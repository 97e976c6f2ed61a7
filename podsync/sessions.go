package podsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// These bound how many commands and attached clients users may have at one time. A command may take
// as much memory as its container. Probes and hooks do not count.
const (
	sessionsPerContainer = 32
	sessionsPerNode      = 256
)

// Exec finds the run of a container and returns a function that runs a command beside it: a new
// instance of its module, with argv as its arguments. The command ends when ctx ends. It is killed
// (exit code 137) when the container's run ends. If uid is not empty, the pod must have it. The
// error is an apierrors.APIStatus.
func (m *Manager) Exec(namespace, pod, uid, container string, argv []string) (
	func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) (code int, err error), error,
) {
	w, run, err := m.runOf(namespace, pod, uid, container)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
		spec, err := w.dirs.Spec(container, run.id)
		if err != nil {
			return 0, err
		}
		end, err := m.sessions.begin(sessionOf{w.view.Load().pod.UID, container})
		if err != nil {
			return 0, err
		}
		defer end()
		ctx, stop := context.WithCancelCause(ctx)
		var watch sync.WaitGroup
		defer watch.Wait()
		defer stop(nil)
		watch.Go(func() {
			select {
			case <-run.done:
				stop(errRunEnded)
			case <-ctx.Done():
			}
		})
		exit, err := commands{w.podActions}.exec(ctx, session(spec, argv), runtime.Streams{Stdin: stdin, Stdout: stdout, Stderr: stderr})
		if err != nil && errors.Is(context.Cause(ctx), errRunEnded) {
			return codeKilled, nil
		}
		return int(exit.Code), err
	}, nil
}

// Attach finds the run of a container and returns a function that connects streams to the run,
// until the run ends or ctx ends. The errors are those of Exec.
func (m *Manager) Attach(namespace, pod, uid, container string) (
	func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error, error,
) {
	w, run, err := m.runOf(namespace, pod, uid, container)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
		of := sessionOf{w.view.Load().pod.UID, container}
		end, err := m.sessions.begin(of)
		if err != nil {
			return err
		}
		defer end()
		err = run.process.Attach(ctx, runtime.Streams{Stdin: stdin, Stdout: stdout, Stderr: stderr})
		if !errors.Is(err, runtime.ErrStdin) {
			return err
		}
		if spec := podspec.Container(w.view.Load().pod, container); spec != nil && !spec.Stdin {
			return fmt.Errorf("container %q has no standard input to attach to: its spec does not say stdin: true", container)
		}
		return fmt.Errorf("the standard input of container %q has another client, or has ended (stdinOnce)", container)
	}, nil
}

// errRunEnded ends a command when the run of its container ends.
var errRunEnded = errors.New("the container has ended")

// codeKilled is the exit code of a command that was killed, as in a shell.
const codeKilled = 137

// runOf finds the present run of a container. The error is an apierrors.APIStatus that tells the
// client what is wrong.
func (m *Manager) runOf(namespace, pod, uid, container string) (*podLoop, containerRuns, error) {
	w, view := m.loops.find(namespace, pod)
	if w == nil || uid != "" && view.pod.UID != types.UID(uid) {
		return nil, containerRuns{}, apierrors.NewNotFound(corev1.Resource("pods"), namespace+"/"+pod)
	}
	run, ok := view.runs[container]
	if !ok {
		return nil, containerRuns{}, apierrors.NewNotFound(corev1.Resource("containers"), container+" of pod "+pod)
	}
	if run.process == nil || ended(run.process) {
		return nil, containerRuns{}, apierrors.NewBadRequest(fmt.Sprintf("container %q in pod %q does not run: %s",
			container, pod, stateOf(view.pod, container)))
	}
	return w, run, nil
}

// stateOf returns why a container does not run, from the pod's status.
func stateOf(pod *corev1.Pod, container string) string {
	status := podspec.StatusOf(pod, container)
	switch {
	case status != nil && status.State.Terminated != nil:
		return fmt.Sprintf("it has ended with exit code %d (%s)", status.State.Terminated.ExitCode, status.State.Terminated.Reason)
	case status != nil && status.State.Running != nil:
		return "it has just ended"
	}
	return fmt.Sprintf("it is waiting to start (%s)", waitingReason(pod, container))
}

// sessions counts the commands that users have running, and the clients that are attached.
type sessions struct {
	mu   sync.Mutex
	node int
	of   map[sessionOf]int
}

// sessionOf is the container that a session belongs to.
type sessionOf struct {
	pod       types.UID
	container string
}

// begin counts a session until end is called.
func (s *sessions) begin(in sessionOf) (end func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.of[in] >= sessionsPerContainer:
		return nil, fmt.Errorf("container %q has %d commands and attached clients, and may have no more; wait until one has ended", in.container, sessionsPerContainer)
	case s.node >= sessionsPerNode:
		return nil, fmt.Errorf("the node has %d commands and attached clients, and may have no more; wait until one has ended", sessionsPerNode)
	}
	if s.of == nil {
		s.of = map[sessionOf]int{}
	}
	s.of[in]++
	s.node++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.node--
		if s.of[in]--; s.of[in] == 0 {
			delete(s.of, in)
		}
	}, nil
}
