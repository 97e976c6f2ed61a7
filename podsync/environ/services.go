package environ

import (
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Linked are the Services of which the environment of a namespace's containers has variables. With
// links these are the Services of the namespace. The API server's Service is always one, unless the
// namespace has a Service of its name.
func Linked(all []*corev1.Service, namespace string, links bool) []*corev1.Service {
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

// serviceVariables are the variables about a Service. Some are those of Kubernetes, and some are
// those of Docker's links.
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
