package podsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
)

// ContainerLogs writes a container's log to w: that of its last run or, with opts.Previous, of the
// run before. With opts.Follow it goes on until the run ends or ctx ends. An error before the first
// byte is an apierrors.APIStatus that tells the client what is wrong.
func (m *Manager) ContainerLogs(ctx context.Context, namespace, pod, container string, opts *corev1.PodLogOptions, w io.Writer) error {
	loop, view := m.loops.find(namespace, pod)
	if loop == nil {
		return apierrors.NewNotFound(corev1.Resource("pods"), namespace+"/"+pod)
	}
	runs, ok := view.runs[container]
	if !ok {
		return apierrors.NewNotFound(corev1.Resource("containers"), container+" of pod "+pod)
	}
	attempt := runs.attempt
	if attempt < 0 {
		return apierrors.NewBadRequest(fmt.Sprintf("container %q in pod %q is waiting to start: %s",
			container, pod, waitingReason(view.pod, container)))
	}
	options := logOptions(opts, time.Now())
	options.Done, options.Watcher = runs.done, m.LogEvents
	if opts.Previous {
		// Between two runs, Previous means the last run, because the status shows its exit as the
		// last state.
		if !between(view.pod, container) || !closed(runs.done) {
			attempt--
		}
		options.Follow = false
		if attempt < 0 {
			return previousNotFound(container, pod)
		}
	}
	path := loop.dirs.Log(container, attempt)
	if _, err := os.Stat(path); err == nil && options.Follow {
		// The client must learn that there is a log, even before there is a line.
		if _, err := w.Write(nil); err != nil {
			return err
		}
	}
	err := logfile.Read(ctx, w, path, options)
	switch {
	case errors.Is(err, os.ErrNotExist) && opts.Previous:
		return previousNotFound(container, pod)
	case errors.Is(err, os.ErrNotExist):
		return nil // a run that could not be started has no log
	}
	return err
}

func previousNotFound(container, pod string) error {
	return apierrors.NewBadRequest(fmt.Sprintf("previous terminated container %q in pod %q not found", container, pod))
}

func logOptions(opts *corev1.PodLogOptions, now time.Time) logfile.Options {
	o := logfile.Options{
		Follow:     opts.Follow,
		TailLines:  opts.TailLines,
		LimitBytes: opts.LimitBytes,
		Timestamps: opts.Timestamps,
	}
	switch {
	case opts.SinceTime != nil:
		o.SinceTime = opts.SinceTime.Time
	case opts.SinceSeconds != nil:
		o.SinceTime = now.Add(-time.Duration(*opts.SinceSeconds) * time.Second)
	}
	if opts.Stream != nil {
		switch *opts.Stream {
		case corev1.LogStreamStdout:
			o.Stream = logfile.Stdout
		case corev1.LogStreamStderr:
			o.Stream = logfile.Stderr
		}
	}
	return o
}

// waitingReason is the reason, in the pod's status, why a container does not run.
func waitingReason(pod *corev1.Pod, container string) string {
	if status := podspec.StatusOf(pod, container); status != nil && status.State.Waiting != nil {
		return status.State.Waiting.Reason
	}
	return life.ReasonContainerCreating
}

// between reports whether the container is waiting for its next run.
func between(pod *corev1.Pod, container string) bool {
	status := podspec.StatusOf(pod, container)
	return status != nil && status.State.Waiting != nil
}
