package podsync

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/podsync/informer"
)

// Handlers of RuntimeClasses that a node has.
const (
	// Guests of many pods share a worker. A pod without a RuntimeClass has this handler.
	HandlerShared   = "wasmtime"
	HandlerIsolated = "wasmtime-isolated" // the pod's guests have a worker of their own
)

// classWait is how long a pod that names a RuntimeClass waits for the first list of classes, before
// it reports an error.
const classWait = 10 * time.Second

// runtimeClasses are the cluster's RuntimeClasses.
type runtimeClasses struct {
	*informer.Informer[*nodev1.RuntimeClass]
}

// newClasses makes the informer of the cluster's RuntimeClasses. It calls changed with the name of
// each new or changed class.
func newClasses(client kubernetes.Interface, changed func(name string), log *zap.Logger) runtimeClasses {
	classes := client.NodeV1().RuntimeClasses()
	source := informer.ListWatch[*nodev1.RuntimeClass]{
		List: func(ctx context.Context, opts metav1.ListOptions) ([]*nodev1.RuntimeClass, metav1.ListMeta, error) {
			list, err := classes.List(ctx, opts)
			if err != nil {
				return nil, metav1.ListMeta{}, err
			}
			return informer.Pointers(list.Items), list.ListMeta, nil
		},
		Watch: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			return classes.Watch(ctx, opts)
		},
	}
	handler := informer.Handler[*nodev1.RuntimeClass]{
		Set:    func(_, class *nodev1.RuntimeClass) { changed(class.Name) },
		Delete: func(*nodev1.RuntimeClass) {}, // pods of the class go on, because they have their handler already
	}
	return runtimeClasses{informer.New(source, handler, log)}
}

// className is the RuntimeClass that a pod names, or empty.
func className(pod *corev1.Pod) string {
	if pod.Spec.RuntimeClassName == nil {
		return ""
	}
	return *pod.Spec.RuntimeClassName
}

// isolated reports whether the pod has its own worker. The first answer of its RuntimeClass counts
// as long as the pod exists. If the class is deleted or replaced later, nothing changes for the
// pod.
func (w *podActions) isolated(ctx context.Context, pod *corev1.Pod) (bool, error) {
	name := className(pod)
	if name == "" {
		return false, nil
	}
	handler, err := w.dirs.Handler()
	if err != nil {
		return false, err
	}
	if handler == HandlerShared || handler == HandlerIsolated {
		return handler == HandlerIsolated, nil
	}
	if handler, err = w.node.classes.handler(ctx, name); err != nil {
		return false, err
	}
	if handler != HandlerShared && handler != HandlerIsolated {
		return false, fmt.Errorf("failed to get sandbox runtime: no runtime for %q is configured", handler)
	}
	return handler == HandlerIsolated, w.dirs.KeepHandler(handler)
}

// handler is the handler of a RuntimeClass.
func (c runtimeClasses) handler(ctx context.Context, class string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, classWait)
	defer cancel()
	if err := c.WaitForSync(ctx); err != nil {
		return "", fmt.Errorf("failed to lookup RuntimeClass %s: %w", class, err)
	}
	found, ok := c.Get("", class)
	if !ok {
		return "", apierrors.NewNotFound(nodev1.Resource("runtimeclass"), class)
	}
	return found.Handler, nil
}
