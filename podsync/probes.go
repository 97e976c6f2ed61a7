package podsync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/metrics"
	"github.com/krustlet-go/krustlet-wasi/podsync/probe"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// probeTries is how often a probe is tried that could not be done at all.
const probeTries = 3

// ask does a probe while process runs, and records what is wrong.
func (w *worker) ask(ctx context.Context, pod *corev1.Pod, process runtime.Process, a ask) probed {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.endWith(ctx, cancel, process)
	spec := probeOf(a.container, a.kind)
	var result probe.Result
	var err error
	began := time.Now()
	for range probeTries {
		if result, err = w.probe(ctx, a, spec); err == nil || ctx.Err() != nil {
			break
		}
	}
	end := probed{container: a.container.Name, id: a.id, kind: a.kind, ok: result.OK, err: err}
	if ctx.Err() == nil {
		w.count(pod, a, result, err, time.Since(began))
	}
	switch {
	case ctx.Err() != nil:
		end.err = ctx.Err() // the run has ended, and what the probe found says nothing
	case err != nil:
		w.record(pod, a.container, events.ProbeErrored(a.kind, err))
	case !result.OK:
		w.log.Debug("probe failed", zap.String("container", a.container.Name), zap.Stringer("probe", a.kind), zap.String("output", result.Output))
		w.record(pod, a.container, events.Unhealthy(a.kind, result.Output))
	case result.Warning:
		w.record(pod, a.container, events.ProbeWarning(a.kind, result.Output))
	}
	return end
}

// count counts a probe.
func (w *worker) count(pod *corev1.Pod, a ask, result probe.Result, err error, took time.Duration) {
	verdict := metrics.Failed
	switch {
	case err != nil:
		verdict = metrics.Unknown
	case result.OK:
		verdict = metrics.Successful
	}
	w.node.Probed.Observe(metrics.Probed{
		Kind: a.kind.String(), Namespace: pod.Namespace, Pod: pod.Name, UID: string(pod.UID), Container: a.container.Name,
	}, verdict, took)
}

// endWith calls cancel when a run ends before ctx does.
func (w *worker) endWith(ctx context.Context, cancel context.CancelFunc, process runtime.Process) {
	w.tasks.Go(func() {
		select {
		case <-process.Done():
			cancel()
		case <-ctx.Done():
		}
	})
}

func (w *worker) probe(ctx context.Context, a ask, spec *corev1.Probe) (probe.Result, error) {
	timeout := seconds(orDefault(spec.TimeoutSeconds, defaultTimeout))
	if spec.Exec == nil {
		return probe.Network(ctx, spec.ProbeHandler, a.container, w.podIP(), timeout)
	}
	run, err := w.dirs.spec(a.container.Name, a.id)
	if err != nil {
		return probe.Result{}, err
	}
	argv := expandAll(spec.Exec.Command, run.Env)
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	text, exit, err := w.capture(within, session(run, argv))
	switch {
	case errors.Is(within.Err(), context.DeadlineExceeded) && err != nil:
		return probe.Result{Output: fmt.Sprintf("command timed out: %q timed out after %v", strings.Join(argv, " "), timeout)}, nil
	case err != nil:
		return probe.Result{}, err
	}
	return probe.Result{OK: exit.Code == 0, Output: firstOf(text, exit.Message)}, nil
}

// firstOf is what a command printed, or else what the engine says of its end.
func firstOf(printed, message string) string {
	if printed == "" {
		return message
	}
	return printed
}

// hook carries out a lifecycle hook while process runs.
func (w *worker) hook(ctx context.Context, pod *corev1.Pod, process runtime.Process, a hook) hookDone {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.endWith(ctx, cancel, process)
	err := w.carryOut(ctx, pod, a)
	if ctx.Err() != nil {
		err = nil // the run has ended, or is to end: nothing hangs on it any more
	}
	if err != nil {
		w.log.Warn("lifecycle hook failed", zap.String("container", a.container.Name), zap.String("hook", string(a.kind)), zap.Error(err))
		w.record(pod, a.container, events.HookFailed(string(a.kind))) // without the error: events are read by many
	}
	return hookDone{container: a.container.Name, id: a.id, kind: a.kind, err: err}
}

func (w *worker) carryOut(ctx context.Context, pod *corev1.Pod, a hook) error {
	where := fmt.Sprintf("for Container %q in Pod %q failed - error", a.container.Name, fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID))
	switch handler := hookOf(a.container, a.kind); {
	case handler.Exec != nil:
		text, err := w.execHook(ctx, a, handler.Exec.Command)
		if err != nil {
			return fmt.Errorf("Exec lifecycle hook (%v) %s: %w, message: %q", handler.Exec.Command, where, err, text)
		}
	case handler.HTTPGet != nil:
		plain, err := probe.Hook(ctx, handler.HTTPGet, a.container, w.podIP())
		if plain != "" {
			w.record(pod, nil, events.HTTPFallback(plain))
		}
		if err != nil {
			return fmt.Errorf("HTTP lifecycle hook (%s) %s: %w", handler.HTTPGet.Path, where, err)
		}
	case handler.Sleep != nil:
		timer := time.NewTimer(time.Duration(handler.Sleep.Seconds) * time.Second)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	default:
		return errors.New("Cannot run handler: invalid handler") //nolint:staticcheck // words that users know
	}
	return nil
}

func (w *worker) execHook(ctx context.Context, a hook, argv []string) (string, error) {
	run, err := w.dirs.spec(a.container.Name, a.id)
	if err != nil {
		return "", err
	}
	text, exit, err := w.capture(ctx, session(run, argv))
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("command '%s' exited with %d: %s", strings.Join(argv, " "), exit.Code, exit.Message)
	}
	return text, err
}
