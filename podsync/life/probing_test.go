package life

import (
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// probedScript is a pod of one container with these probes. It runs since 0 s.
func probedScript(t *testing.T, policy corev1.RestartPolicy, change func(*corev1.Container)) script {
	pod := testpod.New(policy, "a")
	grace := int64(30)
	pod.Spec.TerminationGracePeriodSeconds = &grace
	change(&pod.Spec.Containers[0])
	s := script{t, newPod(pod, testpod.Epoch)}
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull a")
	s.at(0, Pulled{Container: "a"}, "start a #0")
	return s
}

func found(kind ProbeKind, ok bool) Probed {
	return Probed{Container: "a", ID: "id", Kind: kind, OK: ok}
}

func (s script) readyIs(want bool) {
	s.t.Helper()
	status := s.status()
	if got := status.ContainerStatuses[0].Ready; got != want {
		s.t.Fatalf("container ready %v, want %v", got, want)
	}
	for _, kind := range []corev1.PodConditionType{corev1.ContainersReady, corev1.PodReady} {
		for _, c := range status.Conditions {
			if c.Type == kind && (c.Status == corev1.ConditionTrue) != want {
				s.t.Fatalf("condition %+v, want %v", c, want)
			}
		}
	}
}

func (s script) wakes(at time.Time, want float64) {
	s.t.Helper()
	if got := at.Sub(testpod.Epoch).Seconds(); got != want {
		s.t.Fatalf("wakes at %v s, want %v s", got, want)
	}
}

func TestReadiness(t *testing.T) {
	s := probedScript(t, corev1.RestartPolicyAlways, func(c *corev1.Container) { c.ReadinessProbe = testpod.AsksTCP(2, 10, 2, 2) })
	s.wakes(s.at(0, up("a")), 2)
	s.readyIs(false)
	s.at(2, nil, "ask Readiness")
	s.wakes(s.at(2.5, found(Readiness, true)), 12)
	s.readyIs(false) // one failure is not enough
	s.at(12, nil, "ask Readiness")
	s.at(12, found(Readiness, true))
	s.readyIs(true)
	s.at(22, nil, "ask Readiness")
	s.at(22, found(Readiness, false))
	s.readyIs(true)
	s.at(32, nil, "ask Readiness")
	s.at(32, found(Readiness, true))
	s.at(42, nil, "ask Readiness")
	s.at(42, found(Readiness, false)) // not a second failure in a row
	s.readyIs(true)
	s.at(52, nil, "ask Readiness")
	// The probe took longer than the period, so the next one begins at once.
	s.at(70, found(Readiness, false), "ask Readiness")
	s.readyIs(false)
	// The probe has no result.
	s.at(71, Probed{Container: "a", ID: "id", Kind: Readiness, Err: errors.New("no such port")})
	s.readyIs(false)
	s.at(80, nil, "ask Readiness")
	s.at(81, exit("a", 0, 81), "pull a")
	// The probe was of the run that ended.
	s.at(81, Probed{Container: "a", ID: "id", Kind: Readiness, OK: true})
	s.readyIs(false)
}

func TestLiveness(t *testing.T) {
	for policy, words := range map[corev1.RestartPolicy]string{
		corev1.RestartPolicyAlways:    "Container a failed liveness probe, will be restarted",
		corev1.RestartPolicyOnFailure: "Container a failed liveness probe, will be restarted",
		corev1.RestartPolicyNever:     "Container a failed liveness probe",
	} {
		t.Run(string(policy), func(t *testing.T) {
			s := probedScript(t, policy, func(c *corev1.Container) { c.LivenessProbe = testpod.AsksTCP(5, 10, 2, 1) })
			s.wakes(s.at(0, up("a")), 5)
			s.readyIs(true)
			s.at(5, nil, "ask Liveness")
			s.at(5, found(Liveness, false))
			s.at(15, nil, "ask Liveness")
			now := testpod.Epoch.Add(15 * time.Second)
			s.state.Apply(found(Liveness, false), now)
			actions, _ := s.state.Decide(now)
			if len(actions) != 2 || describe(actions[1]) != "stop a in 30s" || actions[0].(Announce).Event.Message != words {
				t.Fatalf("did %v", actions)
			}
			s.at(25, nil) // the guest is being stopped: no more probes
			if policy == corev1.RestartPolicyNever {
				s.at(45, exit("a", 137, 45))
				s.phase(corev1.PodFailed)
				return
			}
			s.at(45, exit("a", 137, 45), "pull a")
			s.at(45, Pulled{Container: "a"}, "start a #1")
			s.wakes(s.at(45, Started{Container: "a", ID: "id2", At: testpod.Epoch.Add(45 * time.Second)}), 50)
			s.at(46, found(Liveness, false)) // a late result, of the run before
			s.at(50, nil, "ask Liveness")
		})
	}
}

func TestProbeHasAGracePeriodOfItsOwn(t *testing.T) {
	own := int64(3)
	s := probedScript(t, corev1.RestartPolicyAlways, func(c *corev1.Container) {
		c.LivenessProbe = testpod.AsksTCP(0, 10, 1, 1)
		c.LivenessProbe.TerminationGracePeriodSeconds = &own
	})
	s.wakes(s.at(0, up("a")), 0.2)
	s.at(0.2, nil, "ask Liveness")
	s.at(1, found(Liveness, false), "event Killing", "stop a in 3s")
	// The pod's end is later than the guest's, so it changes nothing.
	s.at(2, Updated{testpod.Deleted(s.state.pod, 30)}, "giveup")
	s.at(2, Updated{testpod.Deleted(s.state.pod, 1)}, "stop a in 1s")
}

func TestStartup(t *testing.T) {
	probes := func(c *corev1.Container) {
		c.StartupProbe, c.LivenessProbe, c.ReadinessProbe = testpod.AsksTCP(0, 1, 3, 1), testpod.AsksTCP(0, 10, 1, 1), testpod.AsksTCP(10, 10, 1, 1)
	}
	s := probedScript(t, corev1.RestartPolicyAlways, probes)
	s.wakes(s.at(0, up("a")), 0.2)
	s.at(0.2, nil, "ask Startup")
	s.at(0.2, found(Startup, false))
	s.at(1.2, nil, "ask Startup")
	if c := s.status().ContainerStatuses[0]; *c.Started || c.Ready || c.State.Running == nil {
		t.Fatalf("before its startup probe: %+v", c)
	}
	s.wakes(s.at(1.2, found(Startup, true), "ask Liveness"), 10)
	if c := s.status().ContainerStatuses[0]; !*c.Started || c.Ready {
		t.Fatalf("after its startup probe: %+v", c)
	}
	s.at(1.5, found(Liveness, true))
	s.wakes(s.at(10, nil, "ask Readiness"), 11.2)
	s.at(10, found(Readiness, true))
	s.readyIs(true)

	s = probedScript(t, corev1.RestartPolicyAlways, probes)
	s.at(0, up("a"))
	for _, at := range []float64{0.2, 1.2} {
		s.at(at, nil, "ask Startup")
		s.at(at, found(Startup, false))
	}
	s.at(2.2, nil, "ask Startup")
	s.at(2.2, found(Startup, false), "event Killing", "stop a in 30s")
}

func TestPostStart(t *testing.T) {
	hooked := func(c *corev1.Container) {
		c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}}
		c.ReadinessProbe = testpod.AsksTCP(0, 10, 1, 1)
	}
	s := probedScript(t, corev1.RestartPolicyAlways, hooked)
	s.at(0, up("a"), "hook")
	s.at(1, nil)
	if c := s.status().ContainerStatuses[0]; *c.Started || c.Ready || c.ContainerID != "" || c.State.Waiting == nil || c.State.Waiting.Reason != "ContainerCreating" {
		t.Fatalf("before its hook is done: %+v", c)
	}
	s.phase(corev1.PodPending)
	s.at(5, HookEnded{Container: "a", ID: "id", Kind: PostStart}, "ask Readiness")
	if c := s.status().ContainerStatuses[0]; !*c.Started || c.State.Running == nil || c.ContainerID != "wasmtime://id" {
		t.Fatalf("once its hook is done: %+v", c)
	}
	s.phase(corev1.PodRunning)

	s = probedScript(t, corev1.RestartPolicyAlways, hooked)
	s.at(0, up("a"), "hook")
	s.at(5, HookEnded{Container: "a", ID: "id", Kind: PostStart, Err: errors.New("no")}, "event Killing", "stop a in 30s")
	s.at(6, exit("a", 137, 6), "pull a")
	s.at(6, Pulled{Container: "a"}, "start a #1")
	s.at(6, Started{Container: "a", ID: "id2", At: testpod.Epoch.Add(6 * time.Second)}, "hook")
	if c := s.status().ContainerStatuses[0]; c.State.Waiting == nil || c.RestartCount != 0 || c.LastTerminationState.Terminated == nil || c.ContainerID != "wasmtime://id" {
		t.Fatalf("before its second hook is done: %+v", c)
	}
	s.phase(corev1.PodRunning)
	s.at(7, HookEnded{Container: "a", ID: "id2", Kind: PostStart, Err: errors.New("no")}, "event Killing", "stop a in 30s")
	s.at(8, exit("a", 137, 8), "event BackOff")
	if w := s.status().ContainerStatuses[0].State.Waiting; w.Reason != "PostStartHookError" || w.Message != "no" {
		t.Fatalf("waits with %+v", w)
	}
}

func TestPreStop(t *testing.T) {
	begin := func() script {
		s := probedScript(t, corev1.RestartPolicyAlways, func(c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}}
		})
		s.at(0, up("a"))
		return s
	}
	// A failed hook prevents nothing.
	over := HookEnded{Container: "a", ID: "id", Kind: PreStop, Err: errors.New("no")}
	s := begin()
	s.wakes(s.at(10, Updated{testpod.Deleted(s.state.pod, 30)}, "giveup", "event Killing", "hook"), 40)
	s.at(15, over, "stop a in 25s")
	s.at(16, Updated{testpod.Deleted(s.state.pod, 5)}, "stop a in 5s")

	t.Run("that takes too long", func(t *testing.T) {
		s := begin()
		s.at(10, Updated{testpod.Deleted(s.state.pod, 30)}, "giveup", "event Killing", "hook")
		s.at(40, nil, "stop a in 2s")
		s.at(41, over)
	})
	t.Run("cut short", func(t *testing.T) {
		s := begin()
		s.at(10, Updated{testpod.Deleted(s.state.pod, 30)}, "giveup", "event Killing", "hook")
		s.wakes(s.at(11, Updated{testpod.Deleted(s.state.pod, 4)}), 15)
		s.at(15, nil, "stop a in 2s")
	})
	t.Run("without time for it", func(t *testing.T) {
		s := begin()
		s.at(10, Updated{testpod.Deleted(s.state.pod, 0)}, "giveup", "event Killing", "stop a in 0s")
	})
}

func TestActiveDeadline(t *testing.T) {
	limit := int64(20)
	pod := testpod.New(corev1.RestartPolicyAlways, "init", "a")
	pod.Spec.ActiveDeadlineSeconds = &limit
	s := script{t, newPod(pod, testpod.Epoch)}
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull init")
	s.at(0, Pulled{Container: "init"}, "start init #0")
	s.wakes(s.at(0, up("init")), 20)
	s.at(20, nil, "event DeadlineExceeded", "giveup", "event Killing", "stop init in 30s")
	if status := s.status(); status.Phase != corev1.PodPending || status.Reason != "" {
		t.Fatalf("while it ends: %s %s", status.Phase, status.Reason)
	}
	s.at(30, exit("init", 0, 30))
	status := s.status()
	if status.Phase != corev1.PodFailed || status.Reason != "DeadlineExceeded" || status.Message != "Pod was active on the node longer than the specified deadline" {
		t.Fatalf("in the end: %s %s %s", status.Phase, status.Reason, status.Message)
	}
	if end := status.ContainerStatuses[0].State.Terminated; end == nil || end.Reason != "ContainerStatusUnknown" {
		t.Fatalf("a container that never ran: %+v", status.ContainerStatuses[0].State)
	}
	s.at(100, nil)

	s = newScript(t, corev1.RestartPolicyNever, "a")
	s.launch("a")
	s.at(5, exit("a", 0, 5))
	s.state.pod = pod // the pod's deadline comes after the guest's end
	s.at(21, nil)
	s.phase(corev1.PodSucceeded)
}

func TestReadinessGates(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "a")
	s.state.pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "x.test/one"}, {ConditionType: "x.test/two"}}
	s.launch("a")
	s.state.pod.Status.Conditions = []corev1.PodCondition{{Type: "x.test/two", Status: corev1.ConditionFalse}}
	ready := func() corev1.PodCondition {
		for _, c := range s.status().Conditions {
			if c.Type == corev1.PodReady {
				return c
			}
		}
		return corev1.PodCondition{}
	}
	want := `corresponding condition of pod readiness gate "x.test/one" does not exist., the status of pod readiness gate "x.test/two" is not "True", but False`
	if c := ready(); c.Status != corev1.ConditionFalse || c.Reason != "ReadinessGatesNotReady" || c.Message != want {
		t.Errorf("%+v", c)
	}
	s.state.pod.Status.Conditions = []corev1.PodCondition{{Type: "x.test/two", Status: corev1.ConditionTrue}, {Type: "x.test/one", Status: corev1.ConditionTrue}}
	if c := ready(); c.Status != corev1.ConditionTrue {
		t.Errorf("%+v", c)
	}
}

// TestRestoredReadiness: a new agent does not make pods unready, and does not ask all pods at once.
func TestRestoredReadiness(t *testing.T) {
	yes := true
	dues := map[time.Time]bool{}
	for i := range 20 {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Spec.Containers[0].ReadinessProbe, pod.Spec.Containers[0].StartupProbe = testpod.AsksTCP(0, 10, 1, 1), testpod.AsksTCP(0, 10, 1, 1)
		status := testpod.IsRunning("here", 0)
		status.Ready, status.Started = true, &yes
		pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{*status}}
		c := newContainer(&pod.Spec.Containers[0], podspec.App)
		c.restore(status)
		c.restoreProbes(status, fmt.Sprint(i), testpod.Epoch)
		if !c.ready() || !c.started() {
			t.Fatal("a container that was ready is not")
		}
		d := &decision{now: testpod.Epoch}
		c.decideProbes(d)
		if len(d.actions) > 0 || d.wake.After(testpod.Epoch.Add(10*time.Second)) {
			t.Fatalf("pod %d: %v, wakes at %v", i, d.actions, d.wake)
		}
		dues[d.wake] = true
		if status.Ready = false; i == 0 {
			other := newContainer(&pod.Spec.Containers[0], podspec.App)
			other.restore(status)
			other.restoreProbes(status, "u", testpod.Epoch)
			if other.ready() {
				t.Error("a container that was not ready is")
			}
		}
	}
	if len(dues) < 15 {
		t.Errorf("20 pods are asked at %d different times", len(dues))
	}
}
