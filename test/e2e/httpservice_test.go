package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

func portNamed(name string) intstr.IntOrString { return intstr.FromString(name) }

// TestHTTPService: the handlers of a Deployment are endpoints of its Service. Clients that follow
// these lose no request while the Deployment gets another image, more replicas, and fewer.
func TestHTTPService(t *testing.T) {
	t.Parallel()
	if !ownnetwork.Enter(t) { // the API server takes no endpoints in 127.0.0.0/8
		return
	}
	s := &suite{cluster: testcluster.Start(t), images: testnode.NewRegistry(t)}
	s.node = testnode.New(t, s.cluster, "")
	const cidr = "198.18.78.0/24"
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.node.Name}, Spec: corev1.NodeSpec{PodCIDR: cidr, PodCIDRs: []string{cidr}}}
	if _, err := s.client().CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.node.Join(t)
	first, second := s.images.Push(t, "web:v1", component(t, "http-kitchen-0.2")), s.images.Push(t, "web:v2", component(t, "http-kitchen-0.3"))
	sleep := func(seconds int64) *corev1.Lifecycle {
		return &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: seconds}}}
	}
	for name, c := range map[string]struct {
		late, pause time.Duration
		hook        *corev1.Lifecycle
	}{
		// Busy clients that hear of an end at once need no hook, unless the machine stalls them.
		"Prompt": {0, 0, sleep(1)},
		"Late":   {time.Second, 300 * time.Millisecond, sleep(4)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := s.cluster.Namespace(t)
			s.deploy(t, ns, "web", first, c.hook)
			l := newSlowLoad(t, c.pause)
			l.follow(t, s.client(), ns, "web", c.late)
			s.rollsOut(t, ns, l, second)
			l.lost(t)
			if _, targets := l.answered(); targets != 6 {
				t.Errorf("%d pods have answered, want 6", targets)
			}
		})
	}
}

// rollsOut gives a Deployment under load another image, more replicas, and fewer.
func (s *suite) rollsOut(t *testing.T, ns string, l *load, image string) {
	t.Helper()
	s.rolledOut(t, ns, "web", 2)
	l.more(t, 50)
	s.patchDeployment(t, ns, "web", fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":%q}]}}}}`, image))
	s.rolledOut(t, ns, "web", 2)
	l.more(t, 50)
	s.patchDeployment(t, ns, "web", `{"spec":{"replicas":4}}`)
	s.rolledOut(t, ns, "web", 4)
	l.more(t, 50)
	s.patchDeployment(t, ns, "web", `{"spec":{"replicas":1}}`)
	s.rolledOut(t, ns, "web", 1)
	l.more(t, 50)
}

// deploy makes a Deployment with two handlers, and a Service of the same name.
func (s *suite) deploy(t *testing.T, ns, name, image string, hook *corev1.Lifecycle) {
	t.Helper()
	labels := map[string]string{"app": name}
	pod := s.handler(name, image)
	pod.Labels = labels
	pod.Spec.TerminationGracePeriodSeconds, pod.Spec.Containers[0].Lifecycle = nil, hook
	none, one := intstr.FromInt32(0), intstr.FromInt32(1)
	_, err := s.client().AppsV1().Deployments(ns).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec},
			Strategy: appsv1.DeploymentStrategy{
				Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &none, MaxSurge: &one},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.client().CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80, TargetPort: portNamed("http")}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *suite) patchDeployment(t *testing.T, ns, name, patch string) {
	t.Helper()
	if _, err := s.client().AppsV1().Deployments(ns).Patch(t.Context(), name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// rolledOut waits until a Deployment has so many pods of its last template, all of them available,
// and no others, not even ones that end.
func (s *suite) rolledOut(t *testing.T, ns, name string, want int) {
	t.Helper()
	testnode.Eventually(t, func() error {
		d, err := s.client().AppsV1().Deployments(ns).Get(context.Background(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		pods, err := s.client().CoreV1().Pods(ns).List(context.Background(), metav1.ListOptions{LabelSelector: "app=" + name})
		if err != nil {
			return err
		}
		if n := int32(want); d.Status.ObservedGeneration < d.Generation || d.Status.Replicas != n || d.Status.UpdatedReplicas != n || d.Status.AvailableReplicas != n || len(pods.Items) != want {
			return fmt.Errorf("the Deployment is not rolled out: %d pods, %+v", len(pods.Items), d.Status)
		}
		return nil
	})
}
