package life

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// TestRestore: the state is made from the statuses and logs that an earlier agent left.
func TestRestore(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: stamp(testpod.Epoch)}}
	ended := func(code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error"}}
	}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	for name, tt := range map[string]struct {
		phase   corev1.PodPhase
		policy  corev1.RestartPolicy
		status  *corev1.ContainerStatus
		onDisk  int32 // the newest attempt with a log; -1: no log
		does    []string
		attempt int32
		exit    int32 // exit code of the last run; -1: no exit
		after   corev1.PodPhase
	}{
		"a new pod":                           {"", corev1.RestartPolicyAlways, nil, -1, []string{"prepare"}, -1, -1, corev1.PodPending},
		"a pod that ran":                      {corev1.PodRunning, corev1.RestartPolicyAlways, &corev1.ContainerStatus{State: running, RestartCount: 2}, 2, []string{"prepare"}, 2, 137, corev1.PodRunning},
		"a pod that ran and is not restarted": {corev1.PodRunning, corev1.RestartPolicyNever, &corev1.ContainerStatus{State: running}, 0, nil, 0, 137, corev1.PodFailed},
		"a pod in back-off":                   {corev1.PodRunning, corev1.RestartPolicyAlways, &corev1.ContainerStatus{State: waiting, LastTerminationState: ended(3), RestartCount: 4}, 4, []string{"prepare"}, 4, 3, corev1.PodRunning},
		"a run that no status tells of":       {corev1.PodPending, corev1.RestartPolicyAlways, nil, 0, []string{"prepare"}, 0, 137, corev1.PodRunning},
		"a pod that succeeded":                {corev1.PodSucceeded, corev1.RestartPolicyNever, &corev1.ContainerStatus{State: ended(0)}, 0, nil, 0, 0, corev1.PodSucceeded},
		"a pod that failed":                   {corev1.PodFailed, corev1.RestartPolicyNever, &corev1.ContainerStatus{State: ended(9)}, 0, nil, 0, 9, corev1.PodFailed},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(tt.policy, "a")
			pod.Status.Phase = tt.phase
			if tt.status != nil {
				tt.status.Name, tt.status.ContainerID = "a", "wasmtime://old"
				pod.Status.ContainerStatuses = []corev1.ContainerStatus{*tt.status}
			}
			var onDisk map[string]int32
			if tt.onDisk >= 0 {
				onDisk = map[string]int32{"a": tt.onDisk}
			}
			state, _ := Restore(pod, Remains{LastAttempt: onDisk}, testpod.Epoch)
			s := script{t, state}
			s.at(0, nil, tt.does...)
			c := s.state.containers[0]
			if c.attempt != tt.attempt {
				t.Errorf("attempt %d, want %d", c.attempt, tt.attempt)
			}
			if (c.exit == nil) != (tt.exit < 0) || c.exit != nil && c.exit.ExitCode != tt.exit {
				t.Errorf("last exit %+v, want code %d", c.exit, tt.exit)
			}
			s.phase(tt.after)
		})
	}

	t.Run("runs again with the count going on", func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Status.Phase = corev1.PodRunning
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", State: running, RestartCount: 2, ContainerID: "wasmtime://old"}}
		state, _ := Restore(pod, Remains{}, testpod.Epoch)
		s := script{t, state}
		s.at(0, nil, "prepare")
		s.at(0, Prepared{}, "pull a")
		s.at(0, Pulled{Container: "a"}, "start a #3")
		s.at(0, up("a"))
		status := s.status().ContainerStatuses[0]
		if last := status.LastTerminationState.Terminated; status.RestartCount != 3 || last.ContainerID != "wasmtime://old" || last.Message != LostMessage {
			t.Errorf("status %+v", status)
		}
	})
	t.Run("a pod to be deleted is not run again", func(t *testing.T) {
		pod := testpod.Deleted(testpod.New(corev1.RestartPolicyAlways, "a"), 30)
		pod.Status.Phase = corev1.PodRunning
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", State: running}}
		state, _ := Restore(pod, Remains{}, testpod.Epoch.Add(time.Second))
		s := script{t, state}
		s.at(1, nil, "giveup")
		s.state.reported = true
		s.at(1, nil, "remove object=true")
	})
}
