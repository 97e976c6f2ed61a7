package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestQuiet: the agent does not write a pod's status too often.
func TestQuiet(t *testing.T) {
	s := newSuite(t, "")
	t.Run("Start", func(t *testing.T) {
		t.Parallel()
		testFewWrites(t, s)
	})
	t.Run("DaemonSet", func(t *testing.T) {
		t.Parallel()
		testForeignDaemonSet(t, s)
	})
}

// maxWritesOfStart is how often the agent may write a pod's status until the pod is ready.
const maxWritesOfStart = 3

func testFewWrites(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	first := s.create(t, ns, s.pod("first", s.kitchen, "sleep")) // pulls the image
	s.await(t, ns, "first", ready(true))
	s.delete(t, first)
	s.awaitGone(t, first)
	ctx, cancel := context.WithTimeout(t.Context(), testnode.Patience)
	defer cancel()
	events, err := s.client().CoreV1().Pods(ns).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const pods = 10
	for i := range pods {
		pod := s.pod(fmt.Sprintf("p-%d", i), s.kitchen, "sleep")
		if i%2 == 0 {
			pod.Spec.Containers[0].ReadinessProbe = execProbe("kitchen", "echo", "ready")
		}
		s.create(t, ns, pod)
	}
	writes, isReady := map[string][]string{}, map[string]bool{}
	for event := range events.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok || event.Type != watch.Modified || pod.Status.StartTime == nil || isReady[pod.Name] {
			continue // without a start time, the scheduler wrote it
		}
		writes[pod.Name] = append(writes[pod.Name], summary(&pod.Status))
		if ready(true)(pod) == nil {
			isReady[pod.Name] = true
		}
		if len(isReady) == pods {
			break
		}
	}
	if len(isReady) < pods {
		t.Errorf("%d of %d pods are ready", len(isReady), pods)
	}
	for name, all := range writes {
		if len(all) > maxWritesOfStart {
			t.Errorf("the status of pod %s was written %d times:\n%s", name, len(all), strings.Join(all, "\n"))
		}
	}
}

// summary is the part of a status that changes while a pod starts.
func summary(s *corev1.PodStatus) string {
	text := fmt.Sprintf("%s %s", s.Phase, s.PodIP)
	for _, c := range s.Conditions {
		text += fmt.Sprintf(" %s=%s", c.Type, c.Status)
	}
	for _, c := range s.ContainerStatuses {
		text += fmt.Sprintf(" %s:%+v", c.Name, c.State)
	}
	return text
}

// testForeignDaemonSet: a DaemonSet for every node has an image for machines. Its pod reaches a
// state that says so, and stays in that state.
func testForeignDaemonSet(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	ref, err := name.ParseReference(s.images.Host+"/proxy:v1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(1<<10, 2)
	if err == nil {
		err = remote.Write(ref, image)
	}
	if err != nil {
		t.Fatal(err)
	}
	yes, labels := true, map[string]string{"app": "proxy"}
	spec := s.podSpec(ref.String())
	spec.HostNetwork, spec.Tolerations = true, []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes}
	set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "proxy"}, Spec: appsv1.DaemonSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
	}}
	if _, err := s.client().AppsV1().DaemonSets(ns).Create(t.Context(), set, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var pod *corev1.Pod
	testnode.Eventually(t, func() error {
		list, err := s.client().CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) == 0 {
			return errors.Join(err, errors.New("there is no pod"))
		}
		pod = &list.Items[0]
		if c := pod.Status.ContainerStatuses; len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "ImagePullBackOff" {
			return fmt.Errorf("it does not wait with ImagePullBackOff: %+v", pod.Status)
		}
		return nil
	})
	if message := pod.Status.ContainerStatuses[0].State.Waiting.Message; !strings.Contains(message, "ErrImagePull") {
		t.Errorf("it waits with %q", message)
	}
	// From now on the agent tries again after 10, 20, 40 s …, and writes twice each time.
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	events, err := s.client().CoreV1().Pods(ns).Watch(ctx, metav1.ListOptions{ResourceVersion: pod.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	writes := 0
	for event := range events.ResultChan() {
		if event.Type != watch.Modified {
			t.Errorf("%s %+v", event.Type, event.Object)
		}
		writes++
	}
	if writes > 3 {
		t.Errorf("its status was written %d times in 15 s", writes)
	}
}
