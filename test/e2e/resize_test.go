package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestResize gives running pods other resources, as users do. The agent is killed in between.
func TestResize(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "", "--node-labels", "kubernetes.io/os=linux") // without this label the API server refuses to resize
	ns := s.cluster.Namespace(t)
	spin := s.create(t, ns, s.sizedPod("spin", "20m", "64Mi", "spin"))
	s.await(t, ns, "spin", ready(true))
	testResizeCPU(t, s, spin)
	testResizeMemory(t, s, ns)
	testResizeRestarts(t, s, ns)
	testResizeDeferred(t, s, ns)

	s.node.Kill(t)
	s.node.Start(t)
	s.node.WaitReady(t)
	s.resize(t, ns, "spin", "20m", "64Mi")
	s.awaitSize(t, ns, "spin", "20m", "64Mi")
	testnode.Eventually(t, func() error {
		if share := s.share(t); share > slow {
			return fmt.Errorf("a guest that is limited again uses %.3f", share)
		}
		return nil
	})
	if now, err := s.get(ns, "spin"); err != nil || now.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("%v: it was restarted: %+v", err, now.Status.ContainerStatuses)
	}
}

// sizedPod is a pod with the kitchen guest and limits.
func (s *suite) sizedPod(name, cpu, memory string, args ...string) *corev1.Pod {
	pod := s.pod(name, s.kitchen, args...)
	pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)},
	}
	return pod
}

func (s *suite) resize(t *testing.T, ns, name, cpu, memory string) {
	t.Helper()
	s.cluster.Kubectl(t, "patch", "-n", ns, "pod", name, "--subresource", "resize", "--patch", fmt.Sprintf(
		`{"spec":{"containers":[{"name":"main","resources":{"limits":{"cpu":%q,"memory":%q}}}]}}`, cpu, memory))
}

// awaitSize waits until a pod has been resized.
func (s *suite) awaitSize(t *testing.T, ns, name, cpu, memory string) *corev1.Pod {
	t.Helper()
	return s.await(t, ns, name, func(p *corev1.Pod) error {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodResizePending || c.Type == corev1.PodResizeInProgress {
				return fmt.Errorf("%s: %s %s", c.Type, c.Reason, c.Message)
			}
		}
		limits := p.Status.ContainerStatuses[0].Resources.Limits
		if limits.Cpu().Cmp(resource.MustParse(cpu)) != 0 || limits.Memory().Cmp(resource.MustParse(memory)) != 0 {
			return fmt.Errorf("limits are %v", limits)
		}
		return nil
	})
}

// The share of a processor that a spinning guest uses. slow is far above the limit of 0.02, because
// the worker does other work too. fast is what the guest uses without a limit, even on a busy
// machine.
const (
	slow = 0.06
	fast = 0.1
)

// share is the share of a processor that the node's workers use during two seconds.
func (s *suite) share(t *testing.T) float64 {
	t.Helper()
	used := func() (ticks int) {
		for _, w := range s.node.Workers(t) {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.PID))
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(line), ") ")
			fields := strings.Fields(rest)
			for _, at := range []int{11, 12} { // utime and stime
				n, err := strconv.Atoi(fields[at])
				if err != nil {
					t.Fatal(err)
				}
				ticks += n
			}
		}
		return ticks
	}
	const perSecond = 100 // USER_HZ
	began, before := time.Now(), used()
	timer := time.NewTimer(2 * time.Second)
	<-timer.C
	return float64(used()-before) / perSecond / time.Since(began).Seconds()
}

func testResizeCPU(t *testing.T, s *suite, pod *corev1.Pod) {
	if share := s.share(t); share > slow {
		t.Errorf("limited to 0.02, a guest uses %.3f", share)
	}
	s.resize(t, pod.Namespace, pod.Name, "1", "64Mi")
	now := s.awaitSize(t, pod.Namespace, pod.Name, "1", "64Mi")
	if c := now.Status.ContainerStatuses[0]; c.RestartCount != 0 || c.AllocatedResources.Cpu().String() != "10m" || now.Status.ObservedGeneration != 2 {
		t.Errorf("generation %d, %+v", now.Status.ObservedGeneration, c)
	}
	testnode.Eventually(t, func() error {
		if share := s.share(t); share < fast {
			return fmt.Errorf("with a limit of 1, a guest uses %.3f", share)
		}
		return nil
	})
	s.awaitEvents(t, pod, `ResizeStarted Pod resize started: {"containers":[{"name":"main",`, `ResizeCompleted Pod resize completed: {"containers":[{"name":"main",`)
}

// testResizeMemory: after a resize, a running guest can have more memory than before.
func testResizeMemory(t *testing.T, s *suite, ns string) {
	pod := s.sizedPod("hungry", "1", "40Mi", "each", "await /tmp/go", "alloc 64")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, pod)
	s.awaitRunning(t, ns, "hungry")
	s.resize(t, ns, "hungry", "1", "256Mi")
	s.awaitSize(t, ns, "hungry", "1", "256Mi")
	s.cluster.Kubectl(t, "exec", "-n", ns, "hungry", "--", "kitchen", "write", "/tmp/go", "x")
	if log := s.finalLog(t, ns, "hungry", corev1.PodSucceeded); !strings.Contains(log, "allocated 64\n") {
		t.Errorf("it says %q", log)
	}
}

// testResizeRestarts: if a container's policy wants a restart for another size, it is restarted.
func testResizeRestarts(t *testing.T, s *suite, ns string) {
	pod := s.sizedPod("anew", "100m", "64Mi", "sleep")
	pod.Spec.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{
		{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer},
	}
	pod = s.create(t, ns, pod)
	s.await(t, ns, "anew", ready(true))
	s.resize(t, ns, "anew", "200m", "64Mi")
	if now := s.awaitSize(t, ns, "anew", "200m", "64Mi"); now.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("restarted for a limit of processor time: %+v", now.Status.ContainerStatuses)
	}
	s.resize(t, ns, "anew", "200m", "96Mi")
	s.await(t, ns, "anew", restarted)
	s.awaitSize(t, ns, "anew", "200m", "96Mi")
	s.awaitEvents(t, pod, "Killing Container main resize requires restart")
}

// testResizeDeferred: if the node has no room for a resize, the resize waits until there is room.
// Until then the pod keeps its resources.
func testResizeDeferred(t *testing.T, s *suite, ns string) {
	node, err := s.client().CoreV1().Nodes().Get(context.Background(), s.node.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all := node.Status.Allocatable.Cpu()
	rest := all.DeepCopy()
	rest.Sub(resource.MustParse("300m"))
	big := s.sizedPod("big", all.String(), "64Mi", "sleep")
	big.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = rest
	s.create(t, ns, big)
	s.await(t, ns, "big", ready(true))
	greedy := s.create(t, ns, s.sizedPod("greedy", "900m", "64Mi", "sleep"))
	s.await(t, ns, "greedy", ready(true))
	s.cluster.Kubectl(t, "patch", "-n", ns, "pod", "greedy", "--subresource", "resize", "--patch",
		`{"spec":{"containers":[{"name":"main","resources":{"requests":{"cpu":"800m"}}}]}}`)
	now := s.await(t, ns, "greedy", func(p *corev1.Pod) error {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodResizePending && c.Reason == corev1.PodReasonDeferred && strings.HasPrefix(c.Message, "Node didn't have enough resource: cpu, requested: 800,") {
				return nil
			}
		}
		return errors.New("not deferred")
	})
	if c := now.Status.ContainerStatuses[0]; c.Resources.Requests.Cpu().String() != "10m" || c.AllocatedResources.Cpu().String() != "10m" {
		t.Errorf("resources %+v, allocated %v", c.Resources, c.AllocatedResources)
	}
	s.awaitEvents(t, greedy, `ResizeDeferred Pod resize Deferred: {"containers":`)
	s.cluster.Kubectl(t, "delete", "-n", ns, "pod", "big")
	now = s.awaitSize(t, ns, "greedy", "900m", "64Mi")
	if c := now.Status.ContainerStatuses[0]; c.AllocatedResources.Cpu().String() != "800m" || c.RestartCount != 0 {
		t.Errorf("with room: %+v", c)
	}
}
