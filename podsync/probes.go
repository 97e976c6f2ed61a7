package podsync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/environ"
	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/metrics"
	"github.com/krustlet-go/krustlet-wasi/podsync/probe"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// probeTries is how often a probe is tried if it cannot be carried out.
const probeTries = 3

// ask carries out a probe while the guest runs, and records failures.
func (w commands) ask(ctx context.Context, pod *corev1.Pod, process runtime.Guest, a life.Ask) life.Probed {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.endWith(ctx, cancel, process)
	spec := life.ProbeOf(a.Container, a.Kind)
	var result probe.Result
	var err error
	began := time.Now()
	for range probeTries {
		if result, err = w.probe(ctx, a, spec); err == nil || ctx.Err() != nil {
			break
		}
	}
	end := life.Probed{Container: a.Container.Name, ID: a.ID, Kind: a.Kind, OK: result.OK, Err: err}
	if ctx.Err() == nil {
		w.count(pod, a, result, err, time.Since(began))
	}
	switch {
	case ctx.Err() != nil:
		end.Err = ctx.Err() // the run has ended, so the result does not count
	case err != nil:
		w.record(pod, a.Container, events.ProbeErrored(a.Kind, err))
	case !result.OK:
		w.log.Debug("probe failed", zap.String("container", a.Container.Name), zap.Stringer("probe", a.Kind), zap.String("output", result.Output))
		w.record(pod, a.Container, events.Unhealthy(a.Kind, result.Output))
	case result.Warning:
		w.record(pod, a.Container, events.ProbeWarning(a.Kind, result.Output))
	}
	return end
}

// count counts a probe.
func (w commands) count(pod *corev1.Pod, a life.Ask, result probe.Result, err error, took time.Duration) {
	verdict := metrics.Failed
	switch {
	case err != nil:
		verdict = metrics.Unknown
	case result.OK:
		verdict = metrics.Successful
	}
	w.node.Probed.Observe(metrics.Probed{
		Kind: a.Kind.String(), Namespace: pod.Namespace, Pod: pod.Name, UID: string(pod.UID), Container: a.Container.Name,
	}, verdict, took)
}

// endWith calls cancel if a run ends before ctx does.
func (w commands) endWith(ctx context.Context, cancel context.CancelFunc, process runtime.Guest) {
	w.tasks.Go(func() {
		select {
		case <-process.Done():
			cancel()
		case <-ctx.Done():
		}
	})
}

func (w commands) probe(ctx context.Context, a life.Ask, spec *corev1.Probe) (probe.Result, error) {
	timeout := life.ProbeTimeout(spec)
	if spec.Exec == nil {
		return probe.Network(ctx, spec.ProbeHandler, a.Container, w.podIP(), timeout)
	}
	run, err := w.dirs.Spec(a.Container.Name, a.ID)
	if err != nil {
		return probe.Result{}, err
	}
	argv := environ.ExpandAll(spec.Exec.Command, run.Env)
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

// firstOf is what a command printed. If it printed nothing, it is the engine's message about the
// end of the command.
func firstOf(printed, message string) string {
	if printed == "" {
		return message
	}
	return printed
}

// hook carries out a lifecycle hook while the guest runs.
func (w commands) hook(ctx context.Context, pod *corev1.Pod, process runtime.Guest, a life.Hook) life.HookEnded {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.endWith(ctx, cancel, process)
	err := w.carryOut(ctx, pod, a)
	if ctx.Err() != nil {
		err = nil // the run has ended or must end, so the hook's error does not count
	}
	if err != nil {
		w.log.Warn("lifecycle hook failed", zap.String("container", a.Container.Name), zap.String("hook", string(a.Kind)), zap.Error(err))
		// The event does not have the error, because many users may read events.
		w.record(pod, a.Container, events.HookFailed(string(a.Kind)))
	}
	return life.HookEnded{Container: a.Container.Name, ID: a.ID, Kind: a.Kind, Err: err}
}

func (w commands) carryOut(ctx context.Context, pod *corev1.Pod, a life.Hook) error {
	where := fmt.Sprintf("for Container %q in Pod %q failed - error", a.Container.Name, fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID))
	switch handler := life.HookOf(a.Container, a.Kind); {
	case handler.Exec != nil:
		text, err := w.execHook(ctx, a, handler.Exec.Command)
		if err != nil {
			return fmt.Errorf("Exec lifecycle hook (%v) %s: %w, message: %q", handler.Exec.Command, where, err, text)
		}
	case handler.HTTPGet != nil:
		plain, err := probe.Hook(ctx, handler.HTTPGet, a.Container, w.podIP())
		if plain != "" {
			w.record(pod, nil, events.HTTPFallback(plain))
		}
		if err != nil {
			return fmt.Errorf("HTTP lifecycle hook (%s) %s: %w", handler.HTTPGet.Path, where, err)
		}
	case handler.Sleep != nil:
		return pause.For(ctx, time.Duration(handler.Sleep.Seconds)*time.Second)
	default:
		return errors.New("Cannot run handler: invalid handler") //nolint:staticcheck // the kubelet's words, which users know
	}
	return nil
}

func (w commands) execHook(ctx context.Context, a life.Hook, argv []string) (string, error) {
	run, err := w.dirs.Spec(a.Container.Name, a.ID)
	if err != nil {
		return "", err
	}
	text, exit, err := w.capture(ctx, session(run, argv))
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("command '%s' exited with %d: %s", strings.Join(argv, " "), exit.Code, exit.Message)
	}
	return text, err
}
