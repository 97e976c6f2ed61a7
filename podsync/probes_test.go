package podsync

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func runs(argv ...string) *corev1.ExecAction { return &corev1.ExecAction{Command: argv} }

// watched is a shell whose events the test can read.
func watched(t *testing.T, ctx context.Context, pod *corev1.Pod, e *engine) (*shell, *record.FakeRecorder) {
	events := record.NewFakeRecorder(1000)
	s := prepareShell(t, pod, e, &images{}, false)
	s.settings.Events = events
	s.launch(ctx)
	return s, events
}

func drain(events *record.FakeRecorder) []string {
	var all []string
	for {
		select {
		case e := <-events.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

func TestExecProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		c := &pod.Spec.Containers[0]
		c.Env = []corev1.EnvVar{{Name: "WHO", Value: "me"}}
		c.ReadinessProbe = testpod.AsksTCP(0, 10, 1, 1)
		c.ReadinessProbe.ProbeHandler = corev1.ProbeHandler{Exec: runs("check", "$(WHO)", "$(NOBODY)")}
		var code atomic.Int32
		e := &engine{command: func(_ runtime.Spec, out io.Writer) (int32, bool) {
			_, _ = fmt.Fprint(out, "as "+strings.Repeat("x", outputLimit))
			return code.Load(), true
		}}
		ctx, cancel := context.WithCancel(t.Context())
		s, events := watched(t, ctx, pod, e)
		readyIs := func(want bool) {
			t.Helper()
			if pod, _ := s.object(); pod.Status.ContainerStatuses[0].Ready != want {
				t.Fatalf("ready is not %v", want)
			}
		}
		pass(time.Second)
		readyIs(true)
		code.Store(1)
		pass(10 * time.Second)
		readyIs(false)
		ran, guest := e.ran(), e.all()[0]
		if len(ran) != 2 || ran[1].forgotten() != 1 {
			t.Fatalf("%d commands", len(ran))
		}
		got, of := ran[0].spec, guest.spec
		if !slices.Equal(got.Args, []string{"check", "me", "$(NOBODY)"}) || !slices.Equal(got.Env, of.Env) || got.Mounts[0] != of.Mounts[0] {
			t.Errorf("the command runs as %+v, beside %+v", got, of)
		}
		if got.ID == of.ID || got.Of != (runtime.Origin{Pod: "u1", Beside: of.ID}) || got.Log != "" {
			t.Errorf("the command passes for the container's run: %+v", got)
		}
		all := drain(events)
		if i := slices.IndexFunc(all, func(e string) bool { return strings.HasPrefix(e, "Warning Unhealthy Readiness probe failed: as xxx") }); i < 0 || len(all[i]) > outputLimit+100 {
			t.Errorf("events %.200q", all)
		}
		cancel()
		<-s.ended
		// The next agent knows only what is on disk.
		code.Store(0)
		ctx, cancel = context.WithCancel(t.Context())
		s.launch(ctx)
		pass(10 * time.Second)
		readyIs(true)
		cancel()
		<-s.ended
	})
}

// TestExecProbeTimesOut: if a command does not end in time, it is killed, and the probe has failed.
// If the container ends first, the command is killed, and the probe has no result.
func TestExecProbeTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Spec.Containers[0].LivenessProbe = testpod.AsksTCP(1, 10, 2, 1)
		pod.Spec.Containers[0].LivenessProbe.ProbeHandler = corev1.ProbeHandler{Exec: runs("check", "it")}
		pod.Spec.Containers[0].LivenessProbe.TimeoutSeconds = 3
		e := &engine{command: func(runtime.Spec, io.Writer) (int32, bool) { return 0, false }}
		ctx, cancel := context.WithCancel(t.Context())
		s, events := watched(t, ctx, pod, e)
		pass(5 * time.Second)
		if ran := e.ran(); len(ran) != 1 || !ended(ran[0]) {
			t.Fatalf("%d commands", len(ran))
		}
		want := `Warning Unhealthy Liveness probe failed: command timed out: "check it" timed out after 3s`
		if all := drain(events); !slices.Contains(all, want) {
			t.Errorf("events %q", all)
		}
		pass(7 * time.Second) // the second command goes on
		e.all()[0].end(0)
		pass(time.Second / 2)
		if ran := e.ran(); len(ran) != 2 || !ended(ran[1]) {
			t.Errorf("%d commands; the last one outlives its container", len(ran))
		}
		if all := drain(events); slices.Contains(all, want) {
			t.Errorf("the end of its container is a probe's failure: %q", all)
		}
		cancel()
		<-s.ended
	})
}

// TestHooks: a preStop hook ends before the guest is told to stop. The time of the hook is part of
// the grace period.
func TestHooks(t *testing.T) {
	for name, tt := range map[string]struct {
		handler corev1.LifecycleHandler
		code    int32
		after   time.Duration // the time from the deletion to the end
		event   string
	}{
		"sleeps":         {corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 4}}, 0, 10 * time.Second, ""},
		"sleeps long":    {corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 40}}, 0, 12 * time.Second, ""},
		"runs a command": {corev1.LifecycleHandler{Exec: runs("bye", "$(WHO)")}, 0, 10 * time.Second, ""},
		"fails":          {corev1.LifecycleHandler{Exec: runs("bye")}, 1, 10 * time.Second, "Warning FailedPreStopHook PreStopHook failed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pod := testpod.New(corev1.RestartPolicyAlways, "a")
				pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &tt.handler}
				e := &engine{command: func(spec runtime.Spec, _ io.Writer) (int32, bool) {
					if slices.Contains(spec.Args, "me") {
						t.Error("references in a hook's command are expanded")
					}
					return tt.code, true
				}}
				s, events := watched(t, t.Context(), pod, e)
				pass(time.Minute)
				running, _ := s.object()
				began := time.Now()
				s.loop.mailbox.put(testpod.Deleted(running, 10))
				<-s.ended
				if took := time.Since(began); took != tt.after {
					t.Errorf("ended after %v, want %v", took, tt.after)
				}
				failures := slices.DeleteFunc(drain(events), func(e string) bool { return !strings.Contains(e, "Hook") })
				if strings.Join(failures, "") != tt.event {
					t.Errorf("events %q, want %q", failures, tt.event)
				}
			})
		})
	}
}

// TestDeletionDoesNotWaitForPostStart: a postStart hook that is still running is cancelled.
func TestDeletionDoesNotWaitForPostStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: runs("never")}}
		e := &engine{command: func(runtime.Spec, io.Writer) (int32, bool) { return 0, false }}
		s, events := watched(t, t.Context(), pod, e)
		pass(time.Minute)
		running, _ := s.object()
		if c := running.Status.ContainerStatuses[0]; *c.Started {
			t.Error("started, and its hook goes on")
		}
		s.loop.mailbox.put(testpod.Deleted(running, 5))
		pass(time.Second)
		if ran := e.ran(); !ended(ran[0]) {
			t.Error("the hook goes on")
		}
		<-s.ended
		for _, e := range drain(events) {
			if strings.Contains(e, "FailedPostStart") {
				t.Error(e)
			}
		}
	})
}
