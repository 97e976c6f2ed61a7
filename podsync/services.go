package podsync

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/podsync/environ"
	"github.com/krustlet-go/krustlet-wasi/podsync/informer"
)

// services are the cluster's Services.
type services struct {
	*informer.Informer[*corev1.Service]
	cluster Cluster // nil: no other part needs them
}

// newServices makes the informer of the cluster's Services. The environment of containers names
// them, and cluster leads connections to them, unless it is nil.
func newServices(client kubernetes.Interface, cluster Cluster, log *zap.Logger) services {
	all := client.CoreV1().Services(metav1.NamespaceAll)
	source := informer.ListWatch[*corev1.Service]{
		List: func(ctx context.Context, opts metav1.ListOptions) ([]*corev1.Service, metav1.ListMeta, error) {
			list, err := all.List(ctx, opts)
			if err != nil {
				return nil, metav1.ListMeta{}, err
			}
			return informer.Pointers(list.Items), list.ListMeta, nil
		},
		Watch: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			return all.Watch(ctx, opts)
		},
	}
	handler := informer.Handler[*corev1.Service]{Set: func(_, _ *corev1.Service) {}, Delete: func(*corev1.Service) {}}
	if cluster != nil {
		handler.Set = func(_, s *corev1.Service) { cluster.SetService(s) }
		handler.Delete = cluster.DeleteService
	}
	return services{informer.New(source, handler, log), cluster}
}

// tellListed tells when the first list is there.
func (s services) tellListed(ctx context.Context) {
	if s.cluster != nil && s.WaitForSync(ctx) == nil {
		s.cluster.ServicesListed()
	}
}

// servicesWait is how long a container waits for the first list of Services, before it reports an
// error.
const servicesWait = 10 * time.Second

// linked are the Services in the environment of a pod's containers.
func (s services) linked(ctx context.Context, pod *corev1.Pod) ([]*corev1.Service, error) {
	ctx, cancel := context.WithTimeout(ctx, servicesWait)
	defer cancel()
	if err := s.WaitForSync(ctx); err != nil {
		return nil, fmt.Errorf("services have not yet been read at least once, cannot construct envvars: %w", err)
	}
	links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
	return environ.Linked(s.List(), pod.Namespace, links), nil
}
