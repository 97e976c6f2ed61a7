package life

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// describe is an action in one word, for tables.
func describe(action Action) string {
	switch a := action.(type) {
	case Pull:
		return "pull " + a.Container.Name
	case Start:
		return fmt.Sprintf("start %s #%d", a.Container.Name, a.Attempt)
	case Stop:
		return fmt.Sprintf("stop %s in %v", a.Container, a.Grace)
	case Announce:
		return "event " + a.Event.Reason
	case Remove:
		return fmt.Sprintf("remove object=%v", a.Object)
	case Ask:
		return "ask " + a.Kind.String()
	default:
		return strings.ToLower(strings.TrimPrefix(reflect.TypeOf(action).String(), "life."))
	}
}

// script drives a state by hand. Each step is an event, the time in seconds since testpod.Epoch,
// and the actions that follow.
type script struct {
	t     *testing.T
	state *Pod
}

func (s script) at(seconds float64, what Input, want ...string) time.Time {
	s.t.Helper()
	now := testpod.Epoch.Add(time.Duration(seconds * float64(time.Second)))
	if what != nil {
		s.state.Apply(what, now)
	}
	actions, wake := s.state.Decide(now)
	got := []string{}
	for _, a := range actions {
		got = append(got, describe(a))
	}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		s.t.Fatalf("at %v s after %#v: did [%s], want [%s]", seconds, what, strings.Join(got, "; "), strings.Join(want, "; "))
	}
	if again, _ := s.state.Decide(now); len(again) > 0 {
		s.t.Fatalf("at %v s: asked twice at one time, does more: %v", seconds, again)
	}
	return wake
}

func exit(container string, code int32, seconds float64) RunEnded {
	reason := runtime.Completed
	if code != 0 {
		reason = runtime.Error
	}
	return RunEnded{container, runtime.Exit{Code: code, Reason: reason, FinishedAt: testpod.Epoch.Add(time.Duration(seconds * float64(time.Second)))}}
}

func up(container string) Started {
	return Started{Container: container, ID: "id", At: testpod.Epoch}
}

func (s script) status() corev1.PodStatus {
	return s.state.Status(s.state.pod.Status, testpod.NodeAddress, testpod.Epoch)
}

func (s script) phase(want corev1.PodPhase) {
	s.t.Helper()
	if got := s.status().Phase; got != want {
		s.t.Fatalf("phase %s, want %s", got, want)
	}
}

func newScript(t *testing.T, policy corev1.RestartPolicy, names ...string) script {
	return script{t, newPod(testpod.New(policy, names...), testpod.Epoch)}
}

// launch takes a pod of one container to the step running.
func (s script) launch(name string) {
	s.t.Helper()
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull "+name)
	s.at(0, Pulled{Container: name}, "start "+name+" #0")
	s.at(0, up(name))
}

func TestPodRunsToItsEnd(t *testing.T) {
	for _, tt := range []struct {
		policy corev1.RestartPolicy
		code   int32
		phase  corev1.PodPhase
		does   []string
	}{
		{corev1.RestartPolicyNever, 0, corev1.PodSucceeded, nil},
		{corev1.RestartPolicyNever, 3, corev1.PodFailed, nil},
		{corev1.RestartPolicyOnFailure, 0, corev1.PodSucceeded, nil},
		{corev1.RestartPolicyOnFailure, 3, corev1.PodRunning, []string{"pull a"}},
		{corev1.RestartPolicyAlways, 0, corev1.PodRunning, []string{"pull a"}},
		{corev1.RestartPolicyAlways, 3, corev1.PodRunning, []string{"pull a"}},
	} {
		t.Run(fmt.Sprintf("%s/%d", tt.policy, tt.code), func(t *testing.T) {
			s := newScript(t, tt.policy, "a")
			s.phase(corev1.PodPending)
			s.launch("a")
			s.phase(corev1.PodRunning)
			s.at(1, exit("a", tt.code, 1), tt.does...)
			s.phase(tt.phase)
		})
	}
}

func TestCrashLoopBacksOff(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "a")
	s.launch("a")
	s.at(1, exit("a", 1, 1), "pull a") // the first restart is immediate
	now := 1.0
	for i, delay := range []float64{10, 20, 40, 80, 160, 300, 300} {
		s.at(now, Pulled{Container: "a"}, fmt.Sprintf("start a #%d", i+1))
		s.at(now, up("a"))
		wake := s.at(now+1, exit("a", 1, now+1), "event BackOff")
		status := s.status().ContainerStatuses[0]
		if got := wake.Sub(testpod.Epoch).Seconds(); got != now+1+delay {
			t.Fatalf("crash %d: wakes at %v s, want %v s", i+2, got, now+1+delay)
		}
		if status.State.Waiting.Reason != "CrashLoopBackOff" || status.RestartCount != int32(i+1) || status.LastTerminationState.Terminated.ExitCode != 1 {
			t.Fatalf("crash %d: status %+v", i+2, status)
		}
		if want := fmt.Sprintf("back-off %v restarting failed container=a pod=p_ns(u1)", time.Duration(delay)*time.Second); status.State.Waiting.Message != want {
			t.Fatalf("message %q, want %q", status.State.Waiting.Message, want)
		}
		s.at(now+delay, nil)
		now += 1 + delay
		s.at(now, nil, "pull a")
	}
	s.at(now, Pulled{Container: "a"}, "start a #8")
	s.at(now, up("a"))
	now += 601 // it runs for more than ten minutes: the back-off is forgotten
	s.at(now, exit("a", 1, now), "pull a")
}

func TestPullFailures(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "a")
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull a")
	s.at(0, Pulled{Container: "a", Reason: "ErrImagePull", Err: errors.New("no such image")})
	if w := s.status().ContainerStatuses[0].State.Waiting; w.Reason != "ErrImagePull" || w.Message != "no such image" {
		t.Fatalf("after a failed pull: %+v", w)
	}
	s.at(2, nil, "event BackOff")
	want := `Back-off pulling image "registry.test/a:v1": ErrImagePull: no such image`
	if w := s.status().ContainerStatuses[0].State.Waiting; w.Reason != "ImagePullBackOff" || w.Message != want {
		t.Fatalf("in back-off: %+v", w)
	}
	s.at(9, nil)
	s.at(10, nil, "pull a")
	s.at(10, Pulled{Container: "a", Reason: "ErrImagePull", Err: errors.New("no such image")})
	s.at(12, nil, "event BackOff")
	s.at(29, nil)
	s.at(30, nil, "pull a")
	s.at(30, Pulled{Container: "a"}, "start a #0")
	s.phase(corev1.PodPending)
}

func TestStartFailures(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "a")
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull a")
	s.at(0, Pulled{Container: "a"}, "start a #0")
	s.at(0, Started{Container: "a", Reason: "CreateContainerConfigError", Err: errors.New("bad env")})
	if c := s.status().ContainerStatuses[0]; c.State.Waiting.Reason != "CreateContainerConfigError" || c.ContainerID != "" {
		t.Fatalf("bad config: %+v", c)
	}
	s.at(9, nil)
	s.at(10, nil, "start a #0")
	s.at(10, Started{Container: "a", ID: "x", Err: errors.New("no such import")}, "pull a")
	s.at(10, Pulled{Container: "a"}, "start a #1")
	s.at(10, Started{Container: "a", ID: "y", Err: errors.New("no such import")}, "event BackOff")
	c := s.status().ContainerStatuses[0]
	if c.State.Waiting.Reason != "RunContainerError" || c.State.Waiting.Message != "no such import" || c.LastTerminationState.Terminated.ExitCode != 128 {
		t.Fatalf("bad module: %+v", c)
	}

	never := newScript(t, corev1.RestartPolicyNever, "a")
	never.at(0, nil, "prepare")
	never.at(0, Prepared{}, "pull a")
	never.at(0, Pulled{Container: "a"}, "start a #0")
	never.at(0, Started{Container: "a", ID: "x", Err: errors.New("no such import")})
	never.phase(corev1.PodFailed)
}

func TestSetupIsTriedAgain(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "a")
	s.at(0, nil, "prepare")
	s.at(0, Prepared{Err: errors.New("disk full")})
	s.at(0.5, nil, "prepare")
	s.at(0.5, Prepared{Err: errors.New("disk full")})
	s.at(1.4, nil)
	s.at(1.5, nil, "prepare")
	s.at(1.5, Prepared{}, "pull a")
}

// TestSetupIsHastened: when the thing that a pod waits for is there, the pod waits no longer, even
// if a try is going on at that time.
func TestSetupIsHastened(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "a")
	s.at(0, nil, "prepare")
	s.at(0, Prepared{Err: errors.New("no such class")})
	s.at(0.1, ClassChanged{}, "prepare")
	s.at(0.2, ClassChanged{})
	s.at(0.3, Prepared{Err: errors.New("no such class")}, "prepare")
	s.at(0.4, Prepared{Err: errors.New("no such class")})
	s.at(0.8, nil)
	s.at(0.9, nil, "prepare")
	s.at(1, Prepared{Isolated: true}, "pull a")
	s.at(1, ClassChanged{})
	if !s.state.isolated {
		t.Error("not isolated")
	}
}

func TestInitContainersRunInOrder(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyNever, "init1", "init2", "a", "b")
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull init1")
	if got := s.status().ContainerStatuses[0].State.Waiting.Reason; got != "PodInitializing" {
		t.Fatalf("app container waits for %s", got)
	}
	s.at(0, Pulled{Container: "init1"}, "start init1 #0")
	s.at(0, up("init1"))
	s.phase(corev1.PodPending)
	s.at(1, exit("init1", 0, 1), "pull init2")
	s.at(1, Pulled{Container: "init2"}, "start init2 #0")
	s.at(1, up("init2"))
	s.at(2, exit("init2", 0, 2), "pull a", "pull b")
	if got := s.status().InitContainerStatuses[1].State.Terminated; got.Message != "Module run completed" || got.Reason != "Completed" {
		t.Fatalf("init container that ended well: %+v", got)
	}

	s = newScript(t, corev1.RestartPolicyNever, "init1", "a")
	s.launch("init1")
	s.at(1, exit("init1", 2, 1))
	s.phase(corev1.PodFailed)
	if got := s.status().Reason; got != "Init container init1 failed" {
		t.Fatalf("reason %q", got)
	}
}

func TestDeletion(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "a")
	s.launch("a")
	s.at(1, Updated{testpod.Deleted(s.state.pod, 30)}, "giveup", "event Killing", "stop a in 30s")
	s.at(2, Updated{testpod.Deleted(s.state.pod, 60)}) // a grace period does not grow
	s.at(3, Updated{testpod.Deleted(s.state.pod, 5)}, "stop a in 5s")
	s.state.reported = true // the API server knows that the pod runs, not how it ended
	s.at(8, exit("a", 137, 8))
	s.phase(corev1.PodFailed)
	s.state.reported = true
	s.at(8, nil, "remove object=true")
	s.at(9, Removed{errors.New("API server away")})
	s.at(9.5, nil, "remove object=true")
	s.at(10, Removed{})
	if s.state.stage != Absent {
		t.Fatalf("life %s", s.state.stage)
	}

	t.Run("an object that vanishes has its guest killed at once", func(t *testing.T) {
		s := newScript(t, corev1.RestartPolicyAlways, "a")
		s.launch("a")
		s.at(1, Vanished{}, "giveup", "event Killing", "stop a in 0s")
		s.at(1, exit("a", 137, 1), "remove object=false")
	})
	t.Run("before anything ran", func(t *testing.T) {
		s := newScript(t, corev1.RestartPolicyAlways, "a")
		s.at(0, nil, "prepare")
		s.at(1, Updated{testpod.Deleted(s.state.pod, 30)}, "giveup")
		s.at(1, Prepared{})
		c := s.status().ContainerStatuses[0].State.Terminated
		if c == nil || c.Reason != "ContainerStatusUnknown" || c.ExitCode != 137 {
			t.Fatalf("container that never ran: %+v", c)
		}
	})
	t.Run("of a finished pod keeps its phase", func(t *testing.T) {
		s := newScript(t, corev1.RestartPolicyNever, "a")
		s.launch("a")
		s.at(1, exit("a", 0, 1))
		s.state.reported = true
		s.at(2, Updated{testpod.Deleted(s.state.pod, 0)}, "giveup")
		s.state.reported = true
		s.at(2, nil, "remove object=true")
		s.phase(corev1.PodSucceeded)
	})
}
