package podsync

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/podsync/informer"
)

// newServices makes the informer of the cluster's Services, of which containers are told in their environment.
func newServices(client kubernetes.Interface, log *zap.Logger) *informer.Informer[*corev1.Service] {
	services := client.CoreV1().Services(metav1.NamespaceAll)
	source := informer.ListWatch[*corev1.Service]{
		List: func(ctx context.Context, opts metav1.ListOptions) ([]*corev1.Service, metav1.ListMeta, error) {
			list, err := services.List(ctx, opts)
			if err != nil {
				return nil, metav1.ListMeta{}, err
			}
			return informer.Pointers(list.Items), list.ListMeta, nil
		},
		Watch: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			return services.Watch(ctx, opts)
		},
	}
	nothing := informer.Handler[*corev1.Service]{Set: func(_, _ *corev1.Service) {}, Delete: func(*corev1.Service) {}}
	return informer.New(source, nothing, log)
}

// servicesWait is how long a container waits for the first list of Services, before it says so.
const servicesWait = 10 * time.Second

// servicesFor are the Services that a pod's containers are told of.
func (m *Manager) servicesFor(ctx context.Context, pod *corev1.Pod) ([]*corev1.Service, error) {
	ctx, cancel := context.WithTimeout(ctx, servicesWait)
	defer cancel()
	if err := m.services.WaitForSync(ctx); err != nil {
		return nil, fmt.Errorf("services have not yet been read at least once, cannot construct envvars: %w", err)
	}
	links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
	return linked(m.services.List(), pod.Namespace, links), nil
}

// linked picks the Services that a container of a namespace is told of: those of the namespace if links, and the API
// server's in any case, unless the first have one of that name.
func linked(all []*corev1.Service, namespace string, links bool) []*corev1.Service {
	named := map[string]*corev1.Service{}
	for _, s := range all {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone || len(s.Spec.Ports) == 0 {
			continue
		}
		api := s.Namespace == metav1.NamespaceDefault && s.Name == "kubernetes"
		if own := links && s.Namespace == namespace; own || api && named[s.Name] == nil {
			named[s.Name] = s
		}
	}
	services := make([]*corev1.Service, 0, len(named))
	for _, s := range named {
		services = append(services, s)
	}
	slices.SortFunc(services, func(a, b *corev1.Service) int { return strings.Compare(a.Name, b.Name) })
	return services
}

// serviceVariables tells of a Service in the words of Kubernetes, and in those of Docker's links.
func serviceVariables(s *corev1.Service) []corev1.EnvVar {
	upper := func(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }
	prefix, host := upper(s.Name), s.Spec.ClusterIP
	var env []corev1.EnvVar
	set := func(name, value string) { env = append(env, corev1.EnvVar{Name: prefix + name, Value: value}) }
	number := func(p corev1.ServicePort) string { return strconv.Itoa(int(p.Port)) }

	set("_SERVICE_HOST", host)
	set("_SERVICE_PORT", number(s.Spec.Ports[0]))
	for _, p := range s.Spec.Ports {
		if p.Name != "" {
			set("_SERVICE_PORT_"+upper(p.Name), number(p))
		}
	}
	for i, p := range s.Spec.Ports {
		protocol := string(p.Protocol)
		if protocol == "" {
			protocol = string(corev1.ProtocolTCP)
		}
		url := strings.ToLower(protocol) + "://" + net.JoinHostPort(host, number(p))
		if i == 0 {
			set("_PORT", url)
		}
		port := "_PORT_" + number(p) + "_" + strings.ToUpper(protocol)
		set(port, url)
		set(port+"_PROTO", strings.ToLower(protocol))
		set(port+"_PORT", number(p))
		set(port+"_ADDR", host)
	}
	return env
}
