package bench

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
)

// yardstick measures the API server's own speed: the time from a write until a watch shows it.
type yardstick struct {
	pods  typedcorev1.PodInterface
	seen  *observer
	times []time.Duration
}

const yardstickPod = "yardstick"

// newYardstick makes a pod in a separate namespace. The pod never gets a node.
func newYardstick(b *testing.B, f *field) *yardstick {
	b.Helper()
	namespace := testcluster.Start(b).Namespace(b)
	y := &yardstick{pods: f.client.CoreV1().Pods(namespace), seen: observe(b, f.watcher, namespace)}
	ctx, cancel := context.WithTimeout(context.Background(), roundTimeout)
	defer cancel()
	_, err := y.pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: yardstickPod},
		Spec: corev1.PodSpec{
			SchedulerName: "none",
			Containers:    []corev1.Container{{Name: "main", Image: f.tiny}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		b.Fatalf("creating the pod of the yardstick: %v", err)
	}
	if _, _, err := y.seen.next(ctx); err != nil {
		b.Fatal(err)
	}
	return y
}

// take measures some writes.
func (y *yardstick) take(b *testing.B, writes int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), roundTimeout)
	defer cancel()
	for range writes {
		began := time.Now()
		patch := []byte(`{"status":{"message":"` + began.String() + `"}}`)
		if _, err := y.pods.Patch(ctx, yardstickPod, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			b.Fatalf("writing a status: %v", err)
		}
		if _, _, err := y.seen.next(ctx); err != nil {
			b.Fatal(err)
		}
		y.times = append(y.times, time.Since(began))
	}
}
