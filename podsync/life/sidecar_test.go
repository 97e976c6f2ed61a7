package life

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// sidecarScript is a pod whose init containers side... are sidecars.
func sidecarScript(t *testing.T, policy corev1.RestartPolicy, sidecars map[string]*corev1.Probe, names ...string) script {
	pod := testpod.New(policy, names...)
	always := corev1.ContainerRestartPolicyAlways
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if probe, is := sidecars[c.Name]; is {
			c.RestartPolicy, c.StartupProbe = &always, probe
		}
	}
	s := script{t, newPod(pod, testpod.Epoch)}
	s.at(0, nil, "prepare")
	return s
}

func comesUp(name string) Started { return Started{Container: name, ID: name, At: testpod.Epoch} }

func TestSidecars(t *testing.T) {
	s := sidecarScript(t, corev1.RestartPolicyNever, map[string]*corev1.Probe{"init1": testpod.AsksTCP(0, 1, 3, 1), "init3": nil}, "init1", "init2", "init3", "a")
	s.at(0, Prepared{}, "pull init1")
	s.at(0, Pulled{Container: "init1"}, "start init1 #0")
	s.at(0, comesUp("init1"))
	s.phase(corev1.PodPending)
	s.at(0.2, nil, "ask Startup")
	// The next container starts only now.
	s.at(0.2, Probed{Container: "init1", ID: "init1", Kind: Startup, OK: true}, "pull init2")
	s.at(1, Pulled{Container: "init2"}, "start init2 #0")
	s.at(1, comesUp("init2"))
	// It runs again under every policy of the pod, while init2 goes on.
	s.at(2, exit("init1", 1, 2), "pull init1")
	s.at(2, Pulled{Container: "init1"}, "start init1 #1")
	s.at(3, exit("init2", 0, 3), "pull init3")
	s.at(3, Pulled{Container: "init3"}, "start init3 #0")
	s.phase(corev1.PodPending)
	s.at(3, comesUp("init3"), "pull a")
	s.at(3, Pulled{Container: "a"}, "start a #0")
	s.at(3, comesUp("a"))
	s.phase(corev1.PodRunning)
	s.at(4, Started{Container: "init1", ID: "again", At: testpod.Epoch.Add(4 * time.Second)})
	if c := s.status().InitContainerStatuses[0]; *c.Started || c.Ready || c.RestartCount != 1 {
		t.Fatalf("a sidecar that comes again: %+v", c)
	}
	for _, c := range s.status().Conditions {
		if c.Type == corev1.PodInitialized && c.Status != corev1.ConditionTrue {
			t.Fatalf("%+v", c)
		}
		if c.Type == corev1.ContainersReady && (c.Status != corev1.ConditionFalse || c.Message != "containers with unready status: [init1]") {
			t.Fatalf("%+v", c)
		}
	}
	// All containers but the sidecars have ended: the sidecars are stopped, the last one first.
	s.at(4.5, exit("a", 0, 4.5), "giveup", "event Killing", "event Killing", "stop init3 in 30s")
	s.phase(corev1.PodRunning)
	s.at(5, exit("init3", 137, 5), "stop init1 in 29.5s")
	s.at(6, exit("init1", 137, 6))
	s.phase(corev1.PodSucceeded)
}

func TestSidecarsEndLast(t *testing.T) {
	s := sidecarScript(t, corev1.RestartPolicyAlways, map[string]*corev1.Probe{"init1": nil, "init2": nil}, "init1", "init2", "a")
	s.at(0, Prepared{}, "pull init1")
	s.at(0, Pulled{Container: "init1"}, "start init1 #0")
	s.at(0, comesUp("init1"), "pull init2")
	s.at(0, Pulled{Container: "init2"}, "start init2 #0")
	s.at(0, comesUp("init2"), "pull a")
	s.at(0, Pulled{Container: "a"}, "start a #0")
	s.at(0, comesUp("a"))
	s.wakes(s.at(1, Updated{testpod.Deleted(s.state.pod, 30)}, "giveup", "event Killing", "event Killing", "event Killing", "stop a in 30s"), 31)
	s.at(11, exit("a", 0, 11), "stop init2 in 20s")
	s.wakes(s.at(12, nil), 31)
	s.at(31, nil, "stop init1 in 2s") // its turn never came
	s.at(32, exit("init2", 137, 32))
	s.at(33, exit("init1", 137, 33))
	if s.state.stage != Removing {
		t.Errorf("life %s", s.state.stage)
	}

	t.Run("without a grace period, all at once", func(t *testing.T) {
		s := sidecarScript(t, corev1.RestartPolicyAlways, map[string]*corev1.Probe{"init1": nil}, "init1", "a")
		s.at(0, Prepared{}, "pull init1")
		s.at(0, Pulled{Container: "init1"}, "start init1 #0")
		s.at(0, comesUp("init1"), "pull a")
		s.at(0, Pulled{Container: "a"}, "start a #0")
		s.at(0, comesUp("a"))
		s.at(1, Updated{testpod.Deleted(s.state.pod, 0)}, "giveup", "event Killing", "stop init1 in 0s", "event Killing", "stop a in 0s")
	})
}

// TestInitFails: if an init container fails and does not run again, the pod ends, and so do the
// sidecars before it.
func TestInitFails(t *testing.T) {
	s := sidecarScript(t, corev1.RestartPolicyNever, map[string]*corev1.Probe{"init1": nil}, "init1", "init2", "a")
	s.at(0, Prepared{}, "pull init1")
	s.at(0, Pulled{Container: "init1"}, "start init1 #0")
	s.at(0, comesUp("init1"), "pull init2")
	s.at(0, Pulled{Container: "init2"}, "start init2 #0")
	s.at(0, comesUp("init2"))
	s.at(1, exit("init2", 1, 1), "giveup", "event Killing", "stop init1 in 30s")
	s.phase(corev1.PodPending)
	s.at(2, exit("init1", 137, 2))
	s.phase(corev1.PodFailed)
	if got := s.status().Reason; got != "Init container init2 failed" {
		t.Errorf("reason %q", got)
	}
}
