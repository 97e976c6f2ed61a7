package life

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// TestEphemeralContainer: it runs once beside the others, even in a pod that makes no progress.
// Nothing waits for it, and it does not count for the pod's phase or readiness.
func TestEphemeralContainer(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "init", "a")
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull init")
	s.at(1, Updated{testpod.WithDebugger(s.state.pod, "debug")}, "pull debug")
	s.at(1, Pulled{Container: "debug"}, "start debug #0")
	s.at(1, up("debug"))
	s.phase(corev1.PodPending)
	s.at(2, Pulled{Container: "init"}, "start init #0")
	s.at(2, up("init"))
	s.at(3, exit("init", 0, 3), "pull a")
	s.at(3, Pulled{Container: "a"}, "start a #0")
	s.at(3, up("a"))
	s.phase(corev1.PodRunning)
	s.at(4, exit("debug", 1, 4)) // it does not run again
	s.phase(corev1.PodRunning)
	status := s.status()
	if len(status.EphemeralContainerStatuses) != 1 || len(status.ContainerStatuses) != 1 || len(status.InitContainerStatuses) != 1 {
		t.Fatalf("status %+v", status)
	}
	if c := status.EphemeralContainerStatuses[0]; c.Name != "debug" || c.State.Terminated == nil || c.State.Terminated.ExitCode != 1 || c.Ready || c.Started != nil {
		t.Errorf("the ephemeral container is %+v", c)
	}
	for _, c := range status.Conditions {
		if c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue {
			t.Errorf("the pod is not ready: %+v", c)
		}
	}
	s.at(5, Updated{testpod.WithDebugger(s.state.pod, "second")}, "pull second")
	s.at(5, Pulled{Container: "second"}, "start second #0")
	s.at(5, up("second"))
	s.at(6, Updated{testpod.Deleted(s.state.pod, 0)}, "giveup", "event Killing", "stop a in 0s", "event Killing", "stop second in 0s")
}

// TestEphemeralContainerEndsWithThePod: it does not keep a pod alive.
func TestEphemeralContainerEndsWithThePod(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyNever, "a")
	s.launch("a")
	s.at(1, Updated{testpod.WithDebugger(s.state.pod, "debug")}, "pull debug")
	s.at(1, Pulled{Container: "debug"}, "start debug #0")
	s.at(1, up("debug"))
	s.at(2, exit("a", 0, 2), "giveup", "event Killing", "stop debug in 30s")
	s.at(3, exit("debug", 137, 3))
	s.phase(corev1.PodSucceeded)
}

// TestEphemeralContainerIsRestored: a restarted agent does not run it again.
func TestEphemeralContainerIsRestored(t *testing.T) {
	pod := testpod.WithDebugger(testpod.New(corev1.RestartPolicyAlways, "a"), "debug")
	pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{
		Name: "debug", ContainerID: "wasmtime://x", State: corev1.ContainerState{Terminated: testpod.ExitOf("x", 1)},
	}}
	state, _ := Restore(pod, Remains{}, testpod.Epoch)
	s := script{t, state}
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull a")
}
