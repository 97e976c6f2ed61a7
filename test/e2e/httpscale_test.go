package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestHTTPScale: a Deployment of a handler gets a second pod when requests use much processor time.
// It is not parallel, as a cluster has one metrics-server at a time.
func TestHTTPScale(t *testing.T) {
	s := &suite{cluster: testcluster.Start(t), images: testnode.NewRegistry(t)}
	s.cluster.StartMetricsServer(t)
	s.node = testnode.New(t, s.cluster, "")
	s.node.Join(t)
	ns := s.cluster.Namespace(t)
	const target = 50 // percent of the request of one pod, which the load exceeds four times
	s.scaled(t, ns, "web", s.images.Push(t, "web:v1", component(t, "http-kitchen-0.2")), target)
	s.rolledOut(t, ns, "web", 1)
	pods, err := s.client().CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	s.awaitScale(t, ns, "web", func(desired, percent int32) bool { return desired == 1 && percent < target })
	computes(t, &pods.Items[0])
	s.awaitScale(t, ns, "web", func(desired, percent int32) bool { return desired == 2 && percent > target })
	s.rolledOut(t, ns, "web", 2)
}

// scaled makes a Deployment of one handler. An autoscaler gives it up to two, to keep them below
// this percentage of the processor time that they request.
func (s *suite) scaled(t *testing.T, ns, name, image string, percent int32) {
	t.Helper()
	pod := s.handler(name, image)
	pod.Labels = map[string]string{"app": name}
	pod.Annotations = map[string]string{"krustlet-wasi.dev/http-first-byte-timeout": "1h"}
	pod.Spec.TerminationGracePeriodSeconds = nil // a Deployment has its own
	pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resourceQuantity("100m")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resourceQuantity("200m")},
	}
	_, err := s.client().AppsV1().Deployments(ns).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: pod.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.client().AutoscalingV2().HorizontalPodAutoscalers(ns).Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			MinReplicas:    ptr(int32(1)), MaxReplicas: 2,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent},
			}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// awaitScale waits until an autoscaler wants a number of pods and sees a percentage of processor
// time that are right.
func (s *suite) awaitScale(t *testing.T, ns, name string, right func(desired, percent int32) bool) {
	t.Helper()
	testnode.Eventually(t, func() error {
		scaler, err := s.client().AutoscalingV2().HorizontalPodAutoscalers(ns).Get(context.Background(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		now := scaler.Status
		if len(now.CurrentMetrics) != 1 || now.CurrentMetrics[0].Resource == nil || now.CurrentMetrics[0].Resource.Current.AverageUtilization == nil {
			return fmt.Errorf("the autoscaler knows no processor time: %+v", now)
		}
		if percent := *now.CurrentMetrics[0].Resource.Current.AverageUtilization; !right(now.DesiredReplicas, percent) {
			return fmt.Errorf("the autoscaler wants %d pods at %d percent", now.DesiredReplicas, percent)
		}
		return nil
	})
}

// computes sends a pod a request that computes until the test ends.
func computes(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at(pod)+"/loop", nil)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		answer, err := (&http.Client{}).Do(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			err = errors.New(answer.Status)
		}
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a request that computes has ended: %v", err)
		}
	})
}
