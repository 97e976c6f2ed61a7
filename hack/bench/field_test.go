package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// roundTimeout limits each wait of a round. It does not measure anything: after this time the
// program hangs.
const roundTimeout = testnode.Patience

// field is what the rows of Pod need: a node, images, and a namespace.
type field struct {
	node                 *testnode.Node
	namespace            string
	client               kubernetes.Interface // makes pods
	watcher              kubernetes.Interface // watches the pods
	tiny, hello, kitchen string               // images
	component            string               // hello as a component
	handler              string               // an HTTP handler
	named                int                  // number of pods so far
}

func newField(b *testing.B, args ...string) *field {
	b.Helper()
	f := unjoinedField(b, args...)
	f.node.Join(b)
	return f
}

// unjoinedField is a field whose node is not in the cluster yet.
func unjoinedField(b *testing.B, args ...string) *field {
	b.Helper()
	cluster := testcluster.Start(b)
	images := testnode.NewRegistry(b)
	f := &field{
		node:      testnode.New(b, cluster, ""),
		namespace: cluster.Namespace(b),
		client:    newClient(b, cluster),
		watcher:   newClient(b, cluster),
		tiny:      images.PushTiny(b),
		hello:     images.PushGuest(b, "hello"),
		kitchen:   images.PushGuest(b, "kitchen"),
		component: images.PushWrapped(b, "hello"),
		handler:   images.Push(b, "handler", handlerModule(b)),
	}
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: isolated}, Handler: isolated}
	if _, err := f.client.NodeV1().RuntimeClasses().Create(context.Background(), class, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		b.Fatal(err)
	}
	f.node.Args = append([]string{"--log-level", "info"}, args...) // as users set it
	return f
}

// isolated is the handler of pods with a worker of their own. It is also the name of the class.
const isolated = "wasmtime-isolated"

// newClient makes a client with its own connection. It uses little of the processors, which it
// shares with the measured programs.
func newClient(b *testing.B, cluster *testcluster.Cluster) kubernetes.Interface {
	b.Helper()
	config := cluster.Config()
	config.ContentType = runtime.ContentTypeProtobuf
	config.Dial = (&net.Dialer{}).DialContext // its own dialer, so that clients do not share the transport
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatalf("making a client: %v", err)
	}
	return client
}

// pod is a pod as a user writes it for a WebAssembly node. If bound is true, the pod names the node
// itself, so the scheduler does nothing.
func (f *field) pod(image string, bound bool) *corev1.Pod {
	f.named++
	arch := func(effect corev1.TaintEffect) corev1.Toleration {
		return corev1.Toleration{Key: "kubernetes.io/arch", Operator: corev1.TolerationOpEqual, Value: "wasm32-wasi", Effect: effect}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%d", f.named)},
		Spec: corev1.PodSpec{
			Containers:  []corev1.Container{{Name: "main", Image: image, ImagePullPolicy: corev1.PullIfNotPresent}},
			Tolerations: []corev1.Toleration{arch(corev1.TaintEffectNoSchedule), arch(corev1.TaintEffectNoExecute)},
		},
	}
	if bound {
		pod.Spec.NodeName = f.node.Name
	} else {
		pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: f.node.Name}
	}
	return pod
}

// start creates all pods at the same time. It returns their trails when all are Running.
func (f *field) start(b *testing.B, seen *observer, pods ...*corev1.Pod) map[string]*trail {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), roundTimeout)
	defer cancel()
	creating, ctx := errgroup.WithContext(ctx)
	trails := make(map[string]*trail, len(pods))
	for _, pod := range pods {
		trails[pod.Name] = &trail{}
	}
	for _, pod := range pods {
		t := trails[pod.Name]
		creating.Go(func() error {
			t.called = time.Now()
			_, err := f.client.CoreV1().Pods(f.namespace).Create(ctx, pod, metav1.CreateOptions{})
			return err
		})
	}
	creating.Go(func() error {
		return seen.await(ctx, trails, func(t *trail) bool { return !t.running.IsZero() })
	})
	if err := creating.Wait(); err != nil {
		b.Fatalf("starting pods: %v", err)
	}
	return trails
}

// clear deletes the pods. It returns when the API server and the node have removed everything of
// them.
func (f *field) clear(b *testing.B, seen *observer, trails map[string]*trail) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), roundTimeout)
	defer cancel()
	now := int64(0)
	deleting, ctx := errgroup.WithContext(ctx)
	deleting.Go(func() error {
		return f.client.CoreV1().Pods(f.namespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
	})
	deleting.Go(func() error {
		return seen.await(ctx, trails, func(t *trail) bool { return !t.gone.IsZero() })
	})
	if err := deleting.Wait(); err != nil {
		b.Fatalf("deleting pods: %v", err)
	}
	testnode.Eventually(b, func() error {
		left, err := os.ReadDir(filepath.Join(f.node.DataDir, "pods"))
		if len(left) > 0 {
			return fmt.Errorf("the node still has folders of %d pods", len(left))
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil // the folder is made with the first pod
		}
		return err
	})
}

// calmDown returns when no more events of the pods arrive. An agent writes them in the background.
// After a burst it may still write when the next round could begin.
func (f *field) calmDown(b *testing.B) {
	b.Helper()
	const calm = 5 // polls, 50 ms each
	before, same := int64(-1), 0
	testnode.Eventually(b, func() error {
		list, err := f.client.CoreV1().Events(f.namespace).List(context.Background(), metav1.ListOptions{Limit: 1})
		if err != nil {
			return err
		}
		count := int64(len(list.Items))
		if list.RemainingItemCount != nil {
			count += *list.RemainingItemCount
		}
		if same++; count != before {
			before, same = count, 0
		}
		if same < calm {
			return fmt.Errorf("events still come in, %d so far", count)
		}
		return nil
	})
}
