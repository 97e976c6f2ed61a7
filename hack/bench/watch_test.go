package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// trail is when the client saw the steps of a pod. The zero time means: not yet.
type trail struct {
	called  time.Time // before the call that creates it
	bound   time.Time // to a node
	running time.Time // Running and Ready
	gone    time.Time // removed from the API server
}

// observer watches the pods of a namespace. The namespace must have only pods whose trails it
// knows.
type observer struct {
	pods    typedcorev1.PodInterface
	events  watch.Interface
	version string // of the last event
}

// observe watches the pods until the benchmark ends.
func observe(b *testing.B, client kubernetes.Interface, namespace string) *observer {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), roundTimeout)
	defer cancel()
	o := &observer{pods: client.CoreV1().Pods(namespace)}
	list, err := o.pods.List(ctx, metav1.ListOptions{})
	if err != nil {
		b.Fatalf("listing pods: %v", err)
	}
	o.version = list.ResourceVersion
	if err := o.watch(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { o.events.Stop() })
	return o
}

func (o *observer) watch() error {
	events, err := o.pods.Watch(context.Background(), metav1.ListOptions{ResourceVersion: o.version})
	if err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	o.events = events
	return nil
}

// await updates the trails of the pods, by name, until reached is true for each of them.
func (o *observer) await(ctx context.Context, trails map[string]*trail, reached func(*trail) bool) error {
	missing := len(trails)
	for missing > 0 {
		kind, pod, err := o.next(ctx)
		if err != nil {
			return fmt.Errorf("%d of %d pods missing: %w", missing, len(trails), err)
		}
		t := trails[pod.Name]
		if t == nil {
			return fmt.Errorf("pod %s is not of this round", pod.Name)
		}
		before := reached(t)
		if err := t.see(kind, pod, time.Now()); err != nil {
			return err
		}
		if !before && reached(t) {
			missing--
		}
	}
	return nil
}

// next returns the next event of a pod. The API server ends the watches of slow clients, and with
// two busy processors all clients are slow. So next resumes the watch where it stopped.
func (o *observer) next(ctx context.Context) (watch.EventType, *corev1.Pod, error) {
	for {
		select {
		case <-ctx.Done():
			return "", nil, context.Cause(ctx)
		case event, open := <-o.events.ResultChan():
			if !open {
				if err := o.watch(); err != nil {
					return "", nil, err
				}
				continue
			}
			pod, ok := event.Object.(*corev1.Pod)
			if !ok {
				return "", nil, fmt.Errorf("the watch failed: %v", event.Object)
			}
			o.version = pod.ResourceVersion
			return event.Type, pod, nil
		}
	}
}

// see notes an event.
func (t *trail) see(kind watch.EventType, pod *corev1.Pod, now time.Time) error {
	set := func(at *time.Time, to bool) {
		if to && at.IsZero() {
			*at = now
		}
	}
	set(&t.bound, pod.Spec.NodeName != "")
	set(&t.running, pod.Status.Phase == corev1.PodRunning && ready(pod))
	set(&t.gone, kind == watch.Deleted)
	if kind != watch.Deleted && (pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded) {
		return fmt.Errorf("pod %s has ended: %+v", pod.Name, pod.Status)
	}
	return nil
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
