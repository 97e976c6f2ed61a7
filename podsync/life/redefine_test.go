package life

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

// TestNewImage: a container whose image changes is ended and started again, under every restart
// policy and without a delay.
func TestNewImage(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyNever, "a", "b")
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull a", "pull b")
	for _, name := range []string{"a", "b"} {
		s.at(0, Pulled{Container: name}, "start "+name+" #0")
		s.at(0, up(name))
	}
	old := s.state.pod
	s.at(1, Updated{testpod.WithImage(old, "a", "new:v2")}, "event Killing", "stop a in 30s")
	if got := s.status().ContainerStatuses[0].Image; got != old.Spec.Containers[0].Image {
		t.Errorf("while the old image runs, the status has image %s", got)
	}
	s.at(2, nil)
	s.at(3, exit("a", 0, 3), "pull a")
	if c := s.state.find("a"); c.spec.Image != "new:v2" {
		t.Errorf("image %s is pulled", c.spec.Image)
	}
	s.at(3, Pulled{Container: "a"}, "start a #1")
	s.at(3, up("a"))
	s.phase(corev1.PodRunning)
	if got := s.status().ContainerStatuses[0]; got.Image != "new:v2" || got.RestartCount != 1 {
		t.Errorf("status %+v", got)
	}
	s.at(4, exit("a", 0, 4))
	s.at(5, exit("b", 0, 5))
	s.phase(corev1.PodSucceeded)
	s.at(6, Updated{testpod.WithImage(old, "a", "new:v3")}) // too late: the pod is ending
	s.phase(corev1.PodSucceeded)
}

// TestNewImageForgetsCrashes: crashes of the old image do not delay the new one.
func TestNewImageForgetsCrashes(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "a")
	s.launch("a")
	s.at(0, exit("a", 1, 0), "pull a")
	s.at(0, Pulled{Container: "a"}, "start a #1")
	s.at(0, up("a"))
	s.at(0, exit("a", 1, 0), "event BackOff")
	s.at(10, nil, "pull a")
	s.at(10, Pulled{Container: "a"}, "start a #2")
	s.at(10, up("a"))
	s.at(10, exit("a", 1, 10), "event BackOff") // for 20 s
	s.at(11, Updated{testpod.WithImage(s.state.pod, "a", "new:v2")}, "pull a")
	s.at(11, Pulled{Container: "a"}, "start a #3")
	s.at(11, up("a"))
	s.at(12, exit("a", 1, 12), "pull a")
}

// TestNewImageWhileItIsPulled: no run of the old image starts.
func TestNewImageWhileItIsPulled(t *testing.T) {
	s := newScript(t, corev1.RestartPolicyAlways, "a")
	s.at(0, nil, "prepare")
	s.at(0, Prepared{}, "pull a")
	s.at(1, Updated{testpod.WithImage(s.state.pod, "a", "new:v2")})
	s.at(2, Pulled{Container: "a"}, "pull a")
	if c := s.state.find("a"); c.spec.Image != "new:v2" {
		t.Errorf("image %s is pulled", c.spec.Image)
	}
}

// TestNewImageWhileNoAgentRan: the adopted run has the old image.
func TestNewImageWhileNoAgentRan(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	status := testpod.IsRunning("r", 0)
	status.Image = "old:v1"
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{*status}
	s, adopted := Restore(pod, left(foundRun("r", 0)), testpod.Epoch)
	if adopted.Running["a"] == "" {
		t.Fatal("the run is not adopted")
	}
	s.setup.progress = complete
	actions, _ := s.Decide(testpod.Epoch.Add(time.Second))
	var did []string
	for _, a := range actions {
		did = append(did, describe(a))
	}
	if len(did) != 2 || did[0] != "event Killing" || did[1] != "stop a in 30s" {
		t.Errorf("did %v", did)
	}
}
