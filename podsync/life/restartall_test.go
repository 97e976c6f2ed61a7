package life

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// restartAllOn are rules that make all containers start over at an exit code.
func restartAllOn(code int32) []corev1.ContainerRestartRule {
	return []corev1.ContainerRestartRule{{
		Action:    corev1.ContainerRestartRuleActionRestartAllContainers,
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{code}},
	}}
}

func (s script) condition(kind corev1.PodConditionType, want corev1.ConditionStatus, reason string) {
	s.t.Helper()
	for _, c := range s.status().Conditions {
		if c.Type == kind && (c.Status != want || c.Reason != reason) {
			s.t.Fatalf("%s is %s %s, want %s %s", kind, c.Status, c.Reason, want, reason)
		}
	}
}

// restartingAll is a pod with restart policy Never, a sidecar, an init container and two other
// containers. All of them run. If the first of the two exits with code 3, all start over.
func restartingAll(t *testing.T) script {
	pod := testpod.New(corev1.RestartPolicyNever, "init-side", "init", "a", "b")
	pod.Spec.InitContainers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	pod.Spec.Containers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyNever)
	pod.Spec.Containers[0].RestartPolicyRules = restartAllOn(3)
	s := script{t, newPod(pod, testpod.Epoch)}
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull init-side")
	s.begins(0, 0)
	s.condition(corev1.AllContainersRestarting, corev1.ConditionFalse, "")
	return s
}

// begins takes the pod from its first pull to the time when all containers run.
func (s script) begins(at float64, attempt int) {
	s.t.Helper()
	starts := func(name string, then ...string) {
		s.t.Helper()
		s.at(at, Pulled{Container: name}, "start "+name+" #"+string(rune('0'+attempt)))
		s.at(at, Started{Container: name, ID: name + string(rune('0'+attempt)), At: testpod.Epoch}, then...)
	}
	starts("init-side", "pull init")
	starts("init")
	s.at(at, exit("init", 0, at), "pull a", "pull b")
	starts("a")
	starts("b")
	s.phase(corev1.PodRunning)
}

func TestRestartAllContainers(t *testing.T) {
	s := restartingAll(t)
	s.state.pod.Status = s.status() // the API server has it
	s.at(10, exit("a", 3, 10), "event Killing", "stop b in 0s", "event Killing", "stop init-side in 0s")
	s.condition(corev1.AllContainersRestarting, corev1.ConditionTrue, "RestartAllContainersStarted")
	s.at(10.1, exit("init-side", 137, 10.1))
	s.at(10.2, exit("b", 137, 10.2), "pull init-side")
	s.condition(corev1.AllContainersRestarting, corev1.ConditionFalse, "")
	s.condition(corev1.PodInitialized, corev1.ConditionTrue, "")
	s.phase(corev1.PodPending)
	status := s.status()
	for _, c := range append(status.InitContainerStatuses, status.ContainerStatuses...) {
		code, reason := int32(137), "RestartingAllContainers"
		if c.Name == "a" {
			code, reason = 3, "Error"
		}
		last := c.LastTerminationState.Terminated
		if c.State.Waiting == nil || c.State.Waiting.Reason != "RestartingAllContainers" || last == nil || last.ExitCode != code || last.Reason != reason || c.RestartCount != 0 {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
	s.begins(11, 1)
	for _, c := range s.status().ContainerStatuses {
		if c.RestartCount != 1 {
			t.Errorf("%s has restarted %d times", c.Name, c.RestartCount)
		}
	}

	t.Run("without a rush", func(t *testing.T) {
		s.t = t
		s.at(12, exit("a", 3, 12), "event Killing", "stop b in 0s", "event Killing", "stop init-side in 0s")
		s.at(12, exit("init-side", 137, 12))
		s.at(12, exit("b", 137, 12), "pull init-side")
		s.at(12, Pulled{Container: "init-side"}, "start init-side #2")
		s.at(12, up("init-side"), "pull init")
		s.at(12, Pulled{Container: "init"}, "start init #2")
		s.at(12, up("init"))
		s.at(13, exit("init", 0, 13), "event BackOff", "pull b")
		s.at(22, nil, "pull a")
	})
	t.Run("at another code", func(t *testing.T) {
		s := restartingAll(t)
		s.at(10, exit("a", 2, 10))
		s.at(11, exit("b", 0, 11), "giveup", "event Killing", "stop init-side in 30s")
		s.at(12, exit("init-side", 137, 12))
		s.phase(corev1.PodFailed)
		s.condition(corev1.AllContainersRestarting, corev1.ConditionFalse, "PodFailed")
	})
	t.Run("of a pod that must end", func(t *testing.T) {
		s := restartingAll(t)
		s.at(10, exit("a", 3, 10), "event Killing", "stop b in 0s", "event Killing", "stop init-side in 0s")
		s.at(10, Updated{testpod.Deleted(s.state.pod, 30)}, "giveup")
		s.at(11, exit("b", 137, 11))
		s.at(11, exit("init-side", 137, 11))
		s.phase(corev1.PodFailed)
	})
}

// TestRestartAllIsRestored: if all containers wait to start over, the next agent goes on from
// there. It does not begin the restart again.
func TestRestartAllIsRestored(t *testing.T) {
	s := restartingAll(t)
	s.at(10, exit("a", 3, 10), "event Killing", "stop b in 0s", "event Killing", "stop init-side in 0s")
	s.at(10.1, exit("init-side", 137, 10.1))
	s.at(10.2, exit("b", 137, 10.2), "pull init-side")
	pod := s.state.pod.DeepCopy()
	pod.Status = s.status()
	state, _ := Restore(pod, Remains{}, testpod.Epoch)
	next := script{t, state}
	if w := next.status().ContainerStatuses[1].State.Waiting; w == nil || w.Reason != "RestartingAllContainers" {
		t.Errorf("b: %+v", next.status().ContainerStatuses[1])
	}
	next.at(11, nil, "prepare")
	next.at(11, Prepared{}, "pull init-side")
	next.begins(11, 1)
}
