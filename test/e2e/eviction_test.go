package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestEviction: pods on a machine that is short of a resource. Each test has its own node.
func TestEviction(t *testing.T) {
	t.Parallel()
	images := testnode.NewRegistry(t)
	of := suite{cluster: testcluster.Start(t), images: images, tiny: images.PushTiny(t), kitchen: images.PushGuest(t, "kitchen")}
	for name, test := range map[string]func(*testing.T, *suite){
		"memory": testEvictForMemory,
		"disk":   testEvictForDisk,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := of
			test(t, &s)
		})
	}
}

// testEvictForMemory: if memory is short when an agent starts, the agent evicts one pod after the
// other, but not critical ones.
func testEvictForMemory(t *testing.T, s *suite) {
	s.node = testnode.New(t, s.cluster, "")
	s.node.Compiled(t, "kitchen")
	s.node.Join(t)
	ns := s.cluster.Namespace(t)
	asked := s.pod("asked", s.kitchen, "sleep")
	asked.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")}
	critical := s.pod("critical", s.tiny)
	critical.Spec.PriorityClassName = "system-node-critical"
	pods := []*corev1.Pod{s.pod("large", s.kitchen, "alloc", "48", "keep"), s.pod("little", s.kitchen, "sleep"), asked}
	for i, pod := range append(pods, critical) {
		if pod = s.create(t, ns, pod); i < len(pods) {
			pods[i] = pod
		}
	}
	for _, name := range []string{"large", "little", "asked", "critical"} {
		s.awaitPhase(t, ns, name, corev1.PodRunning)
	}
	testnode.Eventually(t, func() error {
		log, err := os.ReadFile(filepath.Join(s.node.DataDir, "logs", ns+"_large_"+string(pods[0].UID), "main", "0.log"))
		if err == nil && !strings.Contains(string(log), "allocated 48") {
			err = errors.New("the guest does not have its memory yet")
		}
		return err
	})

	s.node.Stop(t)
	s.node.Args = append(s.node.Args, "--eviction-hard=memory.available<99%", "--eviction-pressure-transition-period=1s")
	s.node.Start(t)
	var before metav1.Time
	for i, pod := range pods {
		now := s.awaitPhase(t, ns, pod.Name, corev1.PodFailed)
		want := `^The node was low on resource: memory\. Threshold quantity: \d+\w*, available: \d+\w*\. `
		if pod.Name != "asked" {
			want += `Container main was using \d+\w*, request is 0, has larger consumption of memory\. `
		}
		if now.Status.Reason != "Evicted" || !regexp.MustCompile(want+"$").MatchString(now.Status.Message) {
			t.Errorf("%s: %s: %s", pod.Name, now.Status.Reason, now.Status.Message)
		}
		if !hasCondition(now, corev1.DisruptionTarget, corev1.PodReasonTerminationByKubelet) {
			t.Errorf("%s: %+v", pod.Name, now.Status.Conditions)
		}
		ended := now.Status.ContainerStatuses[0].State.Terminated.FinishedAt
		if i > 0 && !before.Before(&ended) {
			t.Errorf("%s ended at %v, not after the one before it at %v", pod.Name, ended, before)
		}
		before = ended
		s.awaitEvents(t, pod, "Evicted The node was low on resource: memory. ")
	}
	s.awaitNodeEvent(t, "EvictionThresholdMet")
	s.awaitNodeCondition(t, corev1.NodeMemoryPressure, corev1.ConditionTrue)
	refused := s.pod("refused", s.tiny)
	refused.Spec.NodeSelector, refused.Spec.NodeName = nil, s.node.Name
	s.create(t, ns, refused)
	now := s.awaitPhase(t, ns, "refused", corev1.PodFailed)
	if want := "Pod was rejected: The node had condition: [MemoryPressure]. "; now.Status.Message != want {
		t.Errorf("%q, want %q", now.Status.Message, want)
	}
	s.awaitPhase(t, ns, "critical", corev1.PodRunning)

	s.node.Stop(t)
	s.node.Start(t)
	refused.Name = "refused-too"
	s.create(t, ns, refused)
	s.awaitPhase(t, ns, "refused-too", corev1.PodFailed)
	if now, err := s.get(ns, "large"); err != nil || now.Status.Reason != "Evicted" || !hasCondition(now, corev1.DisruptionTarget, corev1.PodReasonTerminationByKubelet) {
		t.Errorf("%v: with the next agent the status is %+v", err, now.Status)
	}
}

// testEvictForDisk: the pod that fills the disk is evicted, and the node takes pods again.
func testEvictForDisk(t *testing.T, s *suite) {
	disk := smallDisk(t) // before the node, so that the node's workers are ended before the disk is unmounted
	s.node = testnode.New(t, s.cluster, "")
	s.node.DataDir = filepath.Join(disk, "krustlet")
	s.node.Args = append(s.node.Args, "--eviction-hard=nodefs.available<16Mi", "--eviction-pressure-transition-period=15s")
	s.node.Compiled(t, "kitchen")
	s.node.Join(t)
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.pod("modest", s.kitchen, "each", "fill /tmp/some 1", "sleep"))
	s.awaitPhase(t, ns, "modest", corev1.PodRunning)
	fills := s.create(t, ns, s.pod("fills", s.kitchen, "each", "fill /tmp/much 40", "sleep"))
	now := s.awaitPhase(t, ns, "fills", corev1.PodFailed)
	want := `^The node was low on resource: ephemeral-storage\. Threshold quantity: 16Mi, available: \d+\w*\. Container main was using \d+\w*, request is 0, has larger consumption of ephemeral-storage\. $`
	if now.Status.Reason != "Evicted" || !regexp.MustCompile(want).MatchString(now.Status.Message) {
		t.Errorf("%s: %s", now.Status.Reason, now.Status.Message)
	}
	s.awaitEvents(t, fills, "Evicted The node was low on resource: ephemeral-storage. ")
	s.awaitNodeCondition(t, corev1.NodeDiskPressure, corev1.ConditionTrue)
	s.awaitNodeCondition(t, corev1.NodeDiskPressure, corev1.ConditionFalse)
	s.create(t, ns, s.pod("next", s.kitchen, "sleep"))
	s.awaitPhase(t, ns, "next", corev1.PodRunning)
	s.awaitPhase(t, ns, "modest", corev1.PodRunning)
}

func hasCondition(pod *corev1.Pod, kind corev1.PodConditionType, reason string) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == kind && c.Status == corev1.ConditionTrue && c.Reason == reason {
			return true
		}
	}
	return false
}

func (s *suite) awaitNodeCondition(t *testing.T, kind corev1.NodeConditionType, want corev1.ConditionStatus) {
	t.Helper()
	testnode.Eventually(t, func() error {
		node, err := s.client().CoreV1().Nodes().Get(context.Background(), s.node.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == kind && c.Status == want {
				return nil
			}
		}
		return fmt.Errorf("%s is not %s: %+v", kind, want, node.Status.Conditions)
	})
}
