package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestComponentsAcrossAgents: components do not notice when the agent is stopped or killed. Where
// memory is short, the next agent evicts them.
func TestComponentsAcrossAgents(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	wrapped, err := os.ReadFile(guests.Wrapped(t, "kitchen"))
	if err != nil {
		t.Fatal(err)
	}
	kitchen := s.images.Push(t, "kitchen-wrapped:v1", wrapped)
	ns := s.cluster.Namespace(t)
	echoes := s.pod("echoes", s.images.Push(t, "kitchen-0.3:v1", component(t, "kitchen-0.3")), "cat")
	echoes.Spec.Containers[0].Stdin = true
	counts := s.create(t, ns, s.pod("counts", kitchen, "count"))
	s.create(t, ns, echoes)
	before := map[string]corev1.ContainerStatus{"counts": s.steady(t, ns, "counts"), "echoes": s.steady(t, ns, "echoes")}
	heard := ""
	for name, stop := range map[string]func(testing.TB){"stopped": s.node.Stop, "killed": s.node.Kill} {
		ends := s.create(t, ns, s.cook("ends-"+name, kitchen, "count", "300", "7"))
		s.awaitRunning(t, ns, ends.Name)
		last := s.lastNumber(t, ns, "counts")
		stop(t)
		// One guest ends by itself while no agent runs. The other one prints more lines.
		s.awaitLines(t, ends, 300)
		s.awaitLines(t, counts, last+100)
		s.node.Start(t)
		s.node.WaitReady(t)
		for pod, was := range before {
			if now := s.steady(t, ns, pod); now.ContainerID != was.ContainerID || now.RestartCount != 0 || !now.State.Running.StartedAt.Equal(&was.State.Running.StartedAt) {
				t.Errorf("agent %s: the container was %+v, and is %+v", name, was, now)
			}
			e := &execs{suite: s, ns: ns, pod: pod}
			if got := e.exec(t, nil, "kitchen", "args", "a b"); !strings.HasSuffix(got.stdout, "args\na b\n") || got.code != 0 {
				t.Errorf("agent %s: exec in %s: %+v", name, pod, got)
			}
		}
		s.lastNumber(t, ns, "counts")
		k := (&execs{suite: s, ns: ns}).talk(t, "attach", "-i", "-n", ns, "echoes")
		k.say(t, name)
		_ = k.cmd.Process.Kill() // the input is for many clients, and stays open
		_ = k.cmd.Wait()
		if heard += name + "\n"; s.cluster.Kubectl(t, "logs", "-n", ns, "echoes") != heard {
			t.Errorf("agent %s: the log is not %q", name, heard)
		}
		pod := s.awaitPhase(t, ns, ends.Name, corev1.PodFailed)
		if e := pod.Status.ContainerStatuses[0].State.Terminated; e == nil || e.ExitCode != 7 || e.Reason != "Error" {
			t.Errorf("agent %s: the guest that ended meanwhile: %+v", name, e)
		}
	}

	s.node.Stop(t)
	s.node.Args = append(s.node.Args, "--eviction-hard=memory.available<99%")
	s.node.Start(t)
	for pod := range before {
		now := s.awaitPhase(t, ns, pod, corev1.PodFailed)
		want := `^The node was low on resource: memory\. Threshold quantity: \d+\w*, available: \d+\w*\. Container main was using \d+\w*, request is 0, has larger consumption of memory\. $`
		if now.Status.Reason != "Evicted" || !regexp.MustCompile(want).MatchString(now.Status.Message) || !hasCondition(now, corev1.DisruptionTarget, corev1.PodReasonTerminationByKubelet) {
			t.Errorf("%s: %+v", pod, now.Status)
		}
		s.awaitEvents(t, now, "Evicted The node was low on resource: memory. ")
	}
}

// awaitLines waits until the log file of a pod has so many lines. No agent is needed for it.
func (s *suite) awaitLines(t *testing.T, pod *corev1.Pod, lines int) {
	t.Helper()
	testnode.Eventually(t, func() error {
		log, err := os.ReadFile(filepath.Join(s.node.DataDir, "logs", pod.Namespace+"_"+pod.Name+"_"+string(pod.UID), "main", "0.log"))
		if n := strings.Count(string(log), "\n"); err == nil && n < lines {
			err = fmt.Errorf("pod %s has printed %d lines, want %d", pod.Name, n, lines)
		}
		return err
	})
}
