package podsync

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// agents runs one agent after another with one engine and one API server. It checks that a run is
// forgotten only after its exit was reported.
type agents struct {
	*shell
	cancel context.CancelFunc
}

func startAgents(t *testing.T, policy corev1.RestartPolicy, away bool) *agents {
	a := &agents{}
	e := &engine{}
	e.onForget = func(g *guest) {
		pod, there := a.object()
		if there && !(life.EndedRun{ID: g.spec.ID, Container: "a", Attempt: g.spec.Of.Attempt}).Told(pod) {
			t.Errorf("attempt %d is forgotten, and its exit not reported: %+v", g.spec.Of.Attempt, pod.Status.ContainerStatuses)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	a.cancel = cancel
	a.shell = startShell(t, ctx, testpod.New(policy, "a"), e, &images{}, away)
	a.settle(time.Second)
	return a
}

func (a *agents) settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (a *agents) stop() {
	a.t.Helper()
	a.cancel()
	<-a.ended
}

func (a *agents) next() {
	a.t.Helper()
	ctx, cancel := context.WithCancel(a.t.Context())
	a.cancel = cancel
	a.launch(ctx)
	a.settle(time.Second)
}

func (a *agents) status() corev1.ContainerStatus {
	a.t.Helper()
	pod, there := a.object()
	if !there || len(pod.Status.ContainerStatuses) != 1 {
		a.t.Fatalf("object is there: %v, status %+v", there, pod)
	}
	return pod.Status.ContainerStatuses[0]
}

// TestGuestGoesOnWithTheNextAgent: if the agent restarts, the pod's status, the guest and its log
// do not change. The next agent reports what happens to the guest later.
func TestGuestGoesOnWithTheNextAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startAgents(t, corev1.RestartPolicyAlways, false)
		a.engine.all()[0].end(3)
		a.settle(time.Minute)
		a.stop()
		before, _ := a.object()
		patches := a.patches.Load()
		a.settle(time.Hour)
		a.next()
		after, _ := a.object()
		if !apiequality.Semantic.DeepEqual(before.Status, after.Status) || a.patches.Load() != patches {
			t.Errorf("%d patches; the status was\n%+v\nand is\n%+v", a.patches.Load()-patches, before.Status, after.Status)
		}
		guests := a.engine.all()
		if len(guests) != 2 || guests[0].forgotten() != 1 || guests[1].forgotten() != 0 || ended(guests[1]) {
			t.Fatalf("%d runs", len(guests))
		}
		if runs := a.loop.view.Load().runs["a"]; runs.attempt != 1 || runs.done != guests[1].Done() {
			t.Errorf("readers of the log follow attempt %d", runs.attempt)
		}
		guests[1].end(4)
		a.settle(time.Second)
		c := a.status()
		if c.LastTerminationState.Terminated.ExitCode != 4 || c.RestartCount != 2 || c.State.Running == nil || guests[1].forgotten() != 1 {
			t.Errorf("after the adopted guest's end: %+v, forgotten %d times", c, guests[1].forgotten())
		}
		a.stop()
	})
}

// TestExitWithoutAgent: if a guest ended while no agent ran, the next agent reports that in one
// write.
func TestExitWithoutAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startAgents(t, corev1.RestartPolicyNever, false)
		a.stop()
		patches, began := a.patches.Load(), a.status().State.Running.StartedAt
		a.settle(time.Hour)
		a.engine.all()[0].end(7)
		endedAt := metav1.NewTime(time.Now())
		a.settle(time.Hour)
		a.next()
		pod, _ := a.object()
		exit := a.status().State.Terminated
		if exit == nil || exit.ExitCode != 7 || !exit.FinishedAt.Equal(&endedAt) || !exit.StartedAt.Equal(&began) || pod.Status.Phase != corev1.PodFailed {
			t.Errorf("phase %s, %+v", pod.Status.Phase, a.status().State)
		}
		if n := a.patches.Load() - patches; n != 1 || a.engine.all()[0].forgotten() != 1 {
			t.Errorf("%d writes, forgotten %d times", n, a.engine.all()[0].forgotten())
		}
		a.stop()
		a.next() // the exit is reported once
		if n := a.patches.Load() - patches; n != 1 || len(a.engine.all()) != 1 || a.engine.all()[0].forgotten() != 1 {
			t.Errorf("a third agent: %d writes, %d runs", n, len(a.engine.all()))
		}
		a.stop()
	})
}

// TestNothingIsForgottenUntold: agents start and end while the API server accepts no status. The
// engine keeps the exits of all runs until an agent can report them.
func TestNothingIsForgottenUntold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startAgents(t, corev1.RestartPolicyAlways, true)
		a.stop()
		a.next()
		if guests := a.engine.all(); len(guests) != 1 || ended(guests[0]) {
			t.Fatalf("%d runs: the second agent has not taken up the first's", len(guests))
		}
		a.engine.all()[0].end(7)
		a.settle(time.Minute)
		a.stop()
		if a.engine.all()[0].forgotten() != 0 {
			t.Fatal("an exit is forgotten that no status tells of")
		}
		a.away.Store(false)
		a.next()
		c := a.status()
		guests := a.engine.all()
		if len(guests) != 2 || c.RestartCount != 1 || c.LastTerminationState.Terminated.ExitCode != 7 || c.ContainerID != podspec.ContainerID(guests[1].spec.ID) {
			t.Errorf("%d runs, %+v", len(guests), c)
		}
		if guests[0].forgotten() != 1 || guests[1].forgotten() != 0 {
			t.Errorf("forgotten %d and %d times", guests[0].forgotten(), guests[1].forgotten())
		}
		a.stop()
	})
}

func TestLostGuestRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startAgents(t, corev1.RestartPolicyAlways, false)
		a.stop()
		a.engine.guests = nil
		a.next()
		c := a.status()
		if last := c.LastTerminationState.Terminated; last == nil || last.ExitCode != 137 || last.Message != life.LostMessage || c.RestartCount != 1 || c.State.Running == nil {
			t.Errorf("%+v", c)
		}
		a.stop()
	})
}

// TestDeletionAcrossAgents: the adopted guest gets the rest of the grace period.
func TestDeletionAcrossAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startAgents(t, corev1.RestartPolicyAlways, false)
		pod, _ := a.object()
		pod = testpod.Deleted(pod, 30)
		by := metav1.NewTime(time.Now().Truncate(time.Second).Add(30 * time.Second))
		pod.DeletionTimestamp = &by
		a.loop.mailbox.put(pod)
		a.settle(10 * time.Second)
		a.stop()
		if err := a.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), pod, "ns"); err != nil {
			t.Fatal(err)
		}
		g := a.engine.all()[0]
		g.kill.Stop() // so that only the second agent ends the guest
		g.kill = nil
		a.settle(5 * time.Second)
		a.next()
		if ended(g) {
			t.Fatal("the guest was not given what is left of its grace")
		}
		<-a.ended
		if late := time.Since(by.Time); late < 0 || late > time.Second {
			t.Errorf("the pod ended %v after its grace", late)
		}
		if _, there := a.object(); there || g.forgotten() != 1 || len(a.engine.all()) != 1 || testfiles.Exists(a.loop.dirs.Dir) {
			t.Errorf("object there: %v, forgotten %d times, %d runs", there, g.forgotten(), len(a.engine.all()))
		}
	})
}

// TestStrayEndsBeforeAnythingStarts: if a container must not have a run any more, that run ends
// before the next one begins.
func TestStrayEndsBeforeAnythingStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{*testpod.IsTerminated("x", 1, 137)}}
		e := &engine{}
		stray := e.host("x", runtime.Origin{Pod: "u1", Container: "a", Attempt: 1})
		stray.dying = 20 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		s := newShell(t, ctx, pod, e, &images{})
		time.Sleep(19 * time.Second)
		synctest.Wait()
		if len(e.all()) != 1 || stray.forgotten() != 0 {
			t.Errorf("%d runs while the stray dies", len(e.all()))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(e.all()) != 2 || !ended(stray) || stray.forgotten() != 1 {
			t.Errorf("%d runs, the stray forgotten %d times", len(e.all()), stray.forgotten())
		}
		cancel()
		<-s.ended
	})
}

// TestFullEngineIsAskedAgain: if a start fails because the engine is full, it does not count as a
// run, even for a pod that must run only once.
func TestFullEngineIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		e := &engine{failures: []error{runtime.ErrFull, runtime.ErrLost}}
		s := newShell(t, ctx, testpod.New(corev1.RestartPolicyNever, "a"), e, &images{})
		time.Sleep(time.Second)
		synctest.Wait()
		pod, _ := s.object()
		if c := pod.Status.ContainerStatuses[0]; c.State.Waiting == nil || c.State.Waiting.Reason != reasonCreateContainerError || c.State.Waiting.Message != "the engine is full" {
			t.Errorf("while the engine is full: %+v", c.State)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		pod, _ = s.object()
		if c := pod.Status.ContainerStatuses[0]; c.State.Running == nil || c.RestartCount != 0 {
			t.Errorf("with room again: %+v", c)
		}
		cancel()
		<-s.ended
	})
}

func TestWhatTheEngineIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Spec.Containers[0].Stdin, pod.Spec.Containers[0].StdinOnce = true, true
		s := newShell(t, ctx, pod, &engine{life: time.Minute}, &images{})
		time.Sleep(90 * time.Second)
		synctest.Wait()
		spec := s.engine.all()[1].spec
		if want := (runtime.Origin{Pod: "u1", Container: "a", Attempt: 1, ImageID: "registry.test/a:v1@sha256:0"}); spec.Of != want {
			t.Errorf("origin %+v, want %+v", spec.Of, want)
		}
		if !spec.Stdin || !spec.StdinOnce || spec.LogMaxSize != 10<<20 || spec.LogMaxFiles != 5 || spec.Isolated {
			t.Errorf("spec %+v", spec)
		}
		cancel()
		<-s.ended
	})
}
